"""Reads the bodies of responses that are documents, and verifies which body a response has."""

from __future__ import annotations

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import SourceReadError
from airflow_s3_azure.engine.http.client import Response
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.s3.headers import check_version


def read_document(response: Response, limit: int, what: str) -> bytes:
    """Return the body of a response, at most one byte more than ``limit``.

    :param what: it is, for the error
    :raises SourceReadError: if it is not complete
    """
    try:
        return response.read(limit + 1)
    except OSError as error:
        raise SourceReadError(f"{what} from S3 cannot be read: {describe(error)}", transient=True) from None


def is_longer(response: Response, size: int) -> bool:
    """Return whether a body has more than the ``size`` bytes that were read. Without a length, the body's end is read."""
    if response.content_length is not None:
        return response.content_length > size
    return response.readinto(memoryview(bytearray(1))) > 0


def check_range(response: Response, source: SourceObject, block: Block) -> None:
    """Verify that a response has this block of this version.

    :raises SourceChanged: if it is another version
    :raises SourceReadError: if it is another range
    """
    if response.status_code == 206:  # else the range is wrong, of any version
        check_version(response.headers, source.etag, source.version_id)
    expected = f"bytes {block.start}-{block.stop - 1}/{source.size}"
    found = response.headers.get("content-range")
    if response.status_code != 206 or found != expected:
        raise SourceReadError(
            f"requested {expected!r}, but S3 returned {response.status_code} with Content-Range {found and quote_text(found, 80)!r}: "
            "the endpoint, or a proxy before it, does not honor Range requests"
        )
