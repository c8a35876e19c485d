"""Validates responses of Azure: their origin and their headers, with an error for each violation. Pure."""

from __future__ import annotations

import re
from typing import Any

from azure.core.pipeline.transport import HttpRequest

from airflow_s3_azure.engine.azure.requests import METADATA
from airflow_s3_azure.engine.azure.service_errors import ErrorResponse
from airflow_s3_azure.engine.blocks import MAX_BLOB_SIZE
from airflow_s3_azure.engine.checksums import read_azure_text
from airflow_s3_azure.engine.conflicts import CONFLICTS, conflict_of
from airflow_s3_azure.engine.errors import DestinationConflict, DestinationWriteError
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES, retry_after
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord, http_date
from airflow_s3_azure.engine.quoting import quote_text, request_id

_ETAG = re.compile("[!-~]{1,256}")
_LENGTH = re.compile("[0-9]{1,18}")
_VERSION = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_from_azure(response: Any) -> bool:
    """Return whether a response has the headers that all responses of Azure (and of Azurite) have."""
    header = response.headers.get
    # Repeated fields are joined by a comma, even if they are empty.
    if not (header("x-ms-request-id") or "").strip(", "):
        # A busy front end returns an error code, but no request ID.
        return response.status_code >= 400 and bool(header("x-ms-error-code"))
    # Azurite's errors have no version.
    return response.status_code >= 400 or _VERSION.fullmatch(header("x-ms-version") or "") is not None


def is_missing_blob(response: Any) -> bool:
    """Return whether a response is the 404 of a missing blob, in a container that exists."""
    return response.status_code == 404 and not response.headers.get("x-ms-error-code", "").startswith("Container")


def error_response(request: HttpRequest, response: Any) -> ErrorResponse:
    """Return an error response with the parts of its request that explain it."""
    return ErrorResponse(
        response.status_code,
        str(response.headers.get("x-ms-error-code") or response.reason or ""),
        response.headers,
        url=request.url,
        authorization=str(request.headers.get("Authorization") or ""),
    )


def returned_crc(response: Any, blob_url: str) -> int | None:
    """Return the CRC-64 that Azure returned; None if it returned none.

    :raises DestinationWriteError: if it is malformed
    """
    text = response.headers.get("x-ms-content-crc64")
    if text is None:
        return None
    found = read_azure_text(text)
    if found is None:
        raise unusable(response, blob_url, "it has no valid x-ms-content-crc64")
    return found


def etag(response: Any, blob_url: str) -> str:
    """Return the ETag of a response.

    :raises DestinationWriteError: if it has no valid one
    """
    found = str(response.headers.get("ETag") or "")
    if _ETAG.fullmatch(found) is None:
        raise unusable(response, blob_url, "it has no valid ETag")
    return found


def length(response: Any, blob_url: str) -> int:
    """Return the size of a blob in bytes.

    :raises DestinationWriteError: if the response has no valid length
    """
    found = str(response.headers.get("Content-Length") or "")
    if _LENGTH.fullmatch(found) is None or int(found) > MAX_BLOB_SIZE:
        raise unusable(response, blob_url, "it has no valid Content-Length")
    return int(found)


def blob_state(response: Any, blob_url: str) -> tuple[BlobState, dict[str, str]]:
    """Return the blob of a response to a HEAD, and all of its metadata, by the names as they were written.

    :raises DestinationConflict: if it is a directory
    :raises DestinationWriteError: if the response has no valid ETag or length
    """
    metadata = response.headers.received(METADATA)
    if any(name.lower() == "hdi_isfolder" and value.lower() == "true" for name, value in metadata.items()):
        raise DestinationConflict(str(CONFLICTS["directory"]), blob=blob_url, request_id=request_id(response.headers))
    state = BlobState(
        etag=etag(response, blob_url),
        size=length(response, blob_url),
        last_modified=http_date(response.headers.get("Last-Modified")),
        record=SourceRecord.from_metadata(metadata),
        conflict=conflict_of(
            response.headers.get("x-ms-blob-type") or "", response.headers.get("x-ms-access-tier") or ""
        ),
    )
    return state, metadata


def unusable(response: Any, blob_url: str, reason: str) -> DestinationWriteError:
    """Return the error for an incomplete or malformed response of Azure."""
    return DestinationWriteError(
        f"the response from Azure cannot be used: {reason}; if it persists, a proxy between changes it",
        blob=blob_url,
        transient=True,
        request_id=request_id(response.headers),
    )


def foreign(response: Any, blob_url: str) -> DestinationWriteError:
    """Return the error for a response that does not come from Azure."""
    server = quote_text(str(response.headers.get("Server") or "not named"), 80)
    return DestinationWriteError(
        f"the response ({response.status_code}, server {server}) does not come from Azure: it has no x-ms-request-id or no "
        "x-ms-version; check the proxy, firewall or captive portal between this worker and Azure, and the host of the wasb "
        "connection",
        blob=blob_url,
        transient=True,
        throttled=response.status_code in THROTTLED_STATUSES,
        retry_after=retry_after(response.headers),
    )
