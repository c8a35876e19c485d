"""Reads the bodies of responses that are documents."""

from __future__ import annotations

from airflow_s3_azure.engine.errors import SourceReadError
from airflow_s3_azure.engine.http.client import Response
from airflow_s3_azure.engine.http.failures import describe


def read_document(response: Response, limit: int, what: str) -> bytes:
    """Return the body of a response, at most one byte more than ``limit``.

    :param what: it is, for the error
    :raises SourceReadError: if it is not complete
    """
    try:
        return response.read(limit + 1)
    except OSError as error:
        raise SourceReadError(f"{what} from S3 cannot be read: {describe(error)}", transient=True) from None
