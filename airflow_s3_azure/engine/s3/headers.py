"""Parses the headers of an S3 response, and verifies the object's version in them.

Headers are untrusted: a proxy may have sent them, or an endpoint that only resembles S3. A missing or malformed header is
an error of this package that names the header.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from airflow_s3_azure.engine.blocks import MAX_BLOB_SIZE
from airflow_s3_azure.engine.checksums import source_checksum, stored_checksum
from airflow_s3_azure.engine.errors import SourceChanged, SourceReadError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.properties import PreservedProperties, http_date
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.s3.identifiers import read_etag, read_version
from airflow_s3_azure.engine.s3.storage_classes import ARCHIVE_CLASSES, GENERAL_PURPOSE_CLASSES

MAX_PARTS = 10_000
"""Parts of a multipart upload, at most."""

_LENGTH = re.compile(r"[0-9]{1,18}")
_PARTS = re.compile(r"[0-9]{1,5}")
_MD5 = re.compile("[0-9a-f]{32}")


def content_length(headers: Mapping[str, str]) -> int:
    """Return the Content-Length of a response: bytes of the object, or of a part of it.

    :raises SourceReadError: if it is missing or malformed, or larger than a blob
    """
    text = headers.get("content-length")
    if text is None:
        how = ": it is chunked" if "transfer-encoding" in headers else ""
        raise SourceReadError(
            f"the response has no Content-Length{how}, so the size of the object is unknown; the endpoint, or a proxy "
            "before it, leaves it out: connect to S3 without it"
        )
    if _LENGTH.fullmatch(text) is None:
        raise SourceReadError(f"the Content-Length is {quote_text(text, 40)!r}, which is no size", transient=True)
    size = int(text)
    if size > MAX_BLOB_SIZE:
        raise SourceReadError(
            f"its size is {size:,} bytes, more than a blob holds ({MAX_BLOB_SIZE:,} bytes); leave it out",
            retryable=False,
        )
    return size


def parts_count(headers: Mapping[str, str]) -> int:
    """Return the number of parts of the object's upload; 0 if the response has no such header.

    :raises SourceReadError: if it is not a number
    """
    text = headers.get("x-amz-mp-parts-count", "0")
    if _PARTS.fullmatch(text) is None:
        raise SourceReadError(
            f"the header x-amz-mp-parts-count is {quote_text(text, 40)!r}, which is no number of parts", transient=True
        )
    return int(text)


def check_version(headers: Mapping[str, str], etag: str | None, version_id: str | None) -> str:
    """Return the ETag of a response, without quotes, if the response is of the requested version.

    Some endpoints ignore ``If-Match``, so the request alone pins nothing.

    :param etag: that was requested, without quotes; None: any
    :param version_id: that was requested; None: any
    :raises SourceChanged: if it is of another version
    :raises SourceReadError: if its headers do not identify a version
    """
    found = read_etag(headers.get("etag"))
    if found is None:
        text = headers.get("etag")
        what = "no ETag" if text is None else f"the ETag {quote_text(text, 80)!r}"
        raise SourceReadError(
            f"the endpoint returns {what}, so a version of the object cannot be pinned; connect to S3 itself, or to an "
            "endpoint that returns strong ETags"
        )
    if etag is not None and found != etag:
        raise SourceChanged(
            f"it changed: its ETag was {etag!r} and is {found!r} now; try again to copy the new version"
        )
    if version_id is not None:
        _check_version_id(headers.get("x-amz-version-id"), version_id)
    return found


def _check_version_id(found: str | None, wanted: str) -> None:
    if found is None:
        raise SourceReadError(
            f"version {wanted!r} was requested, and the response has no x-amz-version-id; the endpoint does not "
            "support versions: copy without version_id"
        )
    if found != wanted:
        raise SourceChanged(f"version {wanted!r} was requested, and S3 returned version {quote_text(found)!r}")


def describe_object(
    key: str, headers: Mapping[str, str], *, etag: str | None, version_id: str | None, may_be_md5: bool
) -> SourceObject:
    """Return the object of a response to a HEAD or to a GET of the whole object.

    :param headers: by names in lower case
    :param etag: that was requested, without quotes; None: any
    :param version_id: that was requested; None: the current one
    :param may_be_md5: whether the bucket's ETags can be MD5s
    :raises SourceChanged: if it is another version
    :raises SourceReadError: if ETag or length is missing or malformed
    """
    found, checksum = check_version(headers, etag, version_id), stored_checksum(headers)
    return SourceObject(
        key=key,
        size=content_length(headers),
        etag=found,
        version_id=version_id or _current_version(headers.get("x-amz-version-id")),
        last_modified=http_date(headers.get("last-modified")),
        checksum=checksum,
        md5=found if may_be_md5 and _is_md5(found, headers) else None,
        storage_class=headers.get("x-amz-storage-class", "STANDARD"),
        is_archived=_is_archived(headers),
        preserved=PreservedProperties.from_s3(headers),
        stored_checksum=source_checksum(headers, checksum),
    )


def _current_version(text: str | None) -> str | None:
    if text is None or text == "null":  # in a bucket without versioning
        return None
    if read_version(text) is None:
        raise SourceReadError(f"the header x-amz-version-id is {quote_text(text, 80)!r}, which is no version ID")
    return text


def _is_md5(etag: str, headers: Mapping[str, str]) -> bool:
    """Return whether an ETag is an MD5: of an object uploaded in one request, without KMS or customer keys."""
    return (
        headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        and "x-amz-server-side-encryption-customer-algorithm" not in headers
        and headers.get("x-amz-storage-class", "STANDARD") in GENERAL_PURPOSE_CLASSES
        and _MD5.fullmatch(etag) is not None
    )


def _is_archived(headers: Mapping[str, str]) -> bool:
    if "x-amz-archive-status" in headers:  # Intelligent-Tiering's archive tiers
        return True
    restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    return headers.get("x-amz-storage-class") in ARCHIVE_CLASSES and not restored
