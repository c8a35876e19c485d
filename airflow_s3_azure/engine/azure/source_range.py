"""Put Block From URL: the request with which Azure reads one range from S3, and its error responses.

https://learn.microsoft.com/rest/api/storageservices/put-block-from-url

Azure returns the status that the source returned, under a code of its own (``CannotVerifyCopySource``); newer versions
of its API return the source's status separately, in a header or in the body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import (
    DestinationWriteError,
    IntegrityError,
    SourceChanged,
    SourceReadError,
    SourceUnreachable,
    TransferError,
)
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES, TRANSIENT_STATUSES, retry_after
from airflow_s3_azure.engine.quoting import request_id

MAX_URL = 2048
"""Characters of a source URL that Azure documents to accept."""
STREAM_INSTEAD = "use mode='stream'"

_CONDITION = "x-ms-source-if-match"
_UNSUPPORTED = ("UnsupportedHeader", "InvalidHeaderValue")
_SOURCE_STATUS = re.compile(rb"<CopySourceStatusCode>(\d{3})</CopySourceStatusCode>")
_REFUSED_ATTEMPTS = 3
"""Requests in all after a refusal: each has a new signature, and single ones are refused now and then for no reason
(https://github.com/Azure/azure-storage-azcopy/issues/2422)."""


class SourceConditionUnsupported(DestinationWriteError):
    """Azure does not support a condition on the ETag of this source."""


@dataclass(frozen=True, slots=True)
class SourceRange:
    """A range of an object for Azure to read.

    :param url: presigned, so it is a credential
    :param etag: expected of the object, without quotes; None: not checked
    :param md5: expected of the range, in base64; None: not checked
    :raises SourceUnreachable: if the URL is longer than Azure accepts
    """

    url: str = field(repr=False)
    etag: str | None
    block: Block
    md5: str | None = None

    def __post_init__(self) -> None:
        if len(self.url) > MAX_URL:
            raise SourceUnreachable(
                f"mode='server_side': the presigned URL has {len(self.url):,} characters, and Azure accepts {MAX_URL:,}; "
                f"sign with a shorter session token or with keys that need none, or {STREAM_INSTEAD}"
            )

    def headers(self) -> dict[str, str]:
        """Return the request headers that name the range."""
        headers = {
            "x-ms-copy-source": self.url,
            "x-ms-source-range": f"bytes={self.block.start}-{self.block.stop - 1}",
        }
        if self.etag is not None:
            headers[_CONDITION] = f'"{self.etag}"'
        if self.md5 is not None:
            headers["x-ms-source-content-md5"] = self.md5
        return headers

    def translate(self, response: Any) -> TransferError | None:
        """Return the error of a response that concerns the source, or None if it concerns the destination."""
        code = response.headers.get("x-ms-error-code", "")
        error: TransferError | None = None
        if code == "Md5Mismatch":
            error = IntegrityError(
                "its ETag is an MD5, but what Azure read has another one; nothing was committed",
                transient=True,
                attempts=2,
                retryable=False,
            )
        elif code == "SourceConditionNotMet":
            error = self._changed("its ETag is another one now")
        elif code in _UNSUPPORTED and _CONDITION.encode() in response.content.lower():
            error = SourceConditionUnsupported(f"Azure returned {response.status_code} {code} for {_CONDITION}")
        elif code == "CannotVerifyCopySource":
            error = self._refused(_source_status(response), retry_after(response.headers))
        if error is not None:
            error.request_id = request_id(response.headers)
        return error

    def _refused(self, status: int, seconds: float | None) -> TransferError:
        what = f"mode='server_side': Azure requested a block from S3, which returned {status}"
        if status == 412:
            return self._changed("its ETag is another one now")
        if status in (404, 416):
            return self._changed(f"S3 returned {status} to Azure")
        if status in TRANSIENT_STATUSES:
            return SourceReadError(
                f"{what}: S3 could not be reached from Azure, or was busy; if it persists, S3 or the bucket's policy "
                f"lets only your own network in, so {STREAM_INSTEAD}",
                transient=True,
                retry_after=seconds,
                throttled=status in THROTTLED_STATUSES,
            )
        return SourceUnreachable(
            f"{what}: the worker may read it, and Azure may not; a bucket policy, a VPC endpoint or a firewall lets "
            f"only your own network in, so {STREAM_INSTEAD}, or let presigned URLs in from everywhere (or this machine's clock "
            "is off by minutes: the URL expires after five)",
            transient=status in (401, 403),
            attempts=_REFUSED_ATTEMPTS,
        )

    def _changed(self, how: str) -> SourceChanged:
        return SourceChanged(f"it changed while Azure was reading it: {how}; try again to copy the current version")


def _source_status(response: Any) -> int:
    reported = response.headers.get("x-ms-copy-source-status-code", "")
    if re.fullmatch("[0-9]{3}", reported):
        return int(reported)
    match = _SOURCE_STATUS.search(response.content)
    return int(match[1]) if match else int(response.status_code)
