"""Translates errors of the Azure SDK into this package's: with the remedies of the error codes, and without URLs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree.ElementTree import ParseError

from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceResponseError

from airflow_s3_azure.engine.azure.service_errors import ErrorResponse
from airflow_s3_azure.engine.errors import DestinationAccessDenied, DestinationWriteError, TransferError
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.message import ProtocolError


@contextmanager
def sdk_request() -> Iterator[None]:
    """Raise an ``AzureError`` for a response that the SDK cannot parse; it raises whatever its parser raised.

    An error document without a Message, for example, is a TypeError (``process_storage_error`` of azure-storage-blob).
    """
    try:
        yield
    except (AttributeError, KeyError, ParseError, TypeError, ValueError) as error:
        malformed = ProtocolError(f"malformed response ({type(error).__name__})")
        raise ServiceResponseError(str(malformed), error=malformed) from None


def translate(error: AzureError, what: str, blob: str | None = None) -> TransferError:
    """Return the error for a failed request of an SDK client.

    :param what: the failed action, with which the message begins
    """
    if isinstance(error, HttpResponseError) and error.status_code:
        found = _error_response(error).as_error(blob)
        found.message = f"{what}: {found.message}"
        return found
    if isinstance(error, ClientAuthenticationError):
        reason = f"could not get an Azure access token ({describe(error)}); check the wasb connection's identity"
        return DestinationAccessDenied(f"{what}: {reason}", blob=blob)
    is_malformed = isinstance(error.inner_exception, ProtocolError)
    problem = str(error) if is_malformed else f"Azure could not be reached: {describe(error)}"
    return DestinationWriteError(f"{what}: {problem}", blob=blob, transient=True)


def describe_response(error: AzureError) -> str:
    """Return status, code and remedy of an error response, or why there was no response."""
    if isinstance(error, HttpResponseError) and error.status_code:
        return _error_response(error).as_error().message
    return str(error) if isinstance(error.inner_exception, ProtocolError) else describe(error)


def _error_response(error: HttpResponseError) -> ErrorResponse:
    response: Any = error.response
    request: Any = getattr(response, "request", None)
    code = getattr(error, "error_code", None) or error.reason or ""
    return ErrorResponse(
        error.status_code or 0,
        str(getattr(code, "value", code)),
        getattr(response, "headers", None) or {},
        url=str(getattr(request, "url", "") or ""),
        authorization=str((getattr(request, "headers", None) or {}).get("Authorization") or ""),
    )
