"""One range that Azure reads from S3 by itself: what it is asked, and what its refusals mean.

https://learn.microsoft.com/rest/api/storageservices/put-block-from-url

Azure repeats the status that the source gave it, under a code of its own (``CannotVerifyCopySource``); newer versions
of its API say the source's status apart, in a header or in the answer's body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import (
    IntegrityError,
    SourceChanged,
    SourceReadError,
    SourceUnreachable,
    TransferError,
)
from airflow_s3_azure.engine.http.session import THROTTLED_STATUSES, TRANSIENT_STATUSES, retry_after

MAX_URL = 2048
"""Characters of a source's URL that Azure documents to take."""
INSTEAD = "use mode='stream'"

_SOURCE_STATUS = re.compile(rb"<CopySourceStatusCode>(\d{3})</CopySourceStatusCode>")
_REFUSED_ATTEMPTS = 3
"""Requests in all after a refusal: each has a new signature, and single ones are refused now and then for no reason
(https://github.com/Azure/azure-storage-azcopy/issues/2422)."""


@dataclass(frozen=True, slots=True)
class Pull:
    """A range of an object for Azure to read.

    :param url: whoever has it can read the object; secret
    :param etag: that the object must have, without quotes
    :param md5: base64, that the range must have; None: not checked
    """

    url: str = field(repr=False)
    etag: str
    block: Block
    md5: str | None = None

    def headers(self) -> dict[str, str]:
        """Return the headers that ask Azure to read it."""
        headers = {
            "x-ms-copy-source": self.url,
            "x-ms-source-range": f"bytes={self.block.start}-{self.block.stop - 1}",
            "x-ms-source-if-match": f'"{self.etag}"',
        }
        return headers if self.md5 is None else {**headers, "x-ms-source-content-md5": self.md5}

    def translate(self, response: Any) -> TransferError | None:
        """Return what a refusal says about the source, or None if it is about the destination."""
        code = response.headers.get("x-ms-error-code", "")
        if code == "Md5Mismatch":
            return IntegrityError(
                "its ETag is an MD5, but what Azure read has another one; nothing was committed",
                transient=True,
                attempts=2,
                retryable=False,
            )
        if code == "SourceConditionNotMet":
            return self._changed("its ETag is another one now")
        if code == "InvalidHeaderValue" and len(self.url) > MAX_URL:
            return SourceUnreachable(
                f"mode='server_side': Azure answered {response.status_code} {code}: the presigned URL has "
                f"{len(self.url):,} characters, and it takes {MAX_URL:,}; sign with a shorter session token or with "
                f"keys that need none, or {INSTEAD}"
            )
        if code != "CannotVerifyCopySource":
            return None
        return self._refused(_source_status(response), retry_after(response.headers))

    def _refused(self, status: int, seconds: float | None) -> TransferError:
        what = f"mode='server_side': Azure asked S3 for a block, and the answer was {status}"
        if status == 412:
            return self._changed("its ETag is another one now")
        if status in (404, 416):
            return self._changed(f"S3 answered Azure {status}")
        if status in TRANSIENT_STATUSES:
            return SourceReadError(
                f"{what}: S3 could not be reached from Azure, or was busy; if this goes on, S3 or the bucket's policy "
                f"lets only your own network in, so {INSTEAD}",
                transient=True,
                retry_after=seconds,
                throttled=status in THROTTLED_STATUSES,
            )
        return SourceUnreachable(
            f"{what}: the worker may read it, and Azure may not; a bucket policy, a VPC endpoint or a firewall lets "
            f"only your own network in, so {INSTEAD}, or let presigned URLs in from everywhere",
            transient=status in (401, 403),
            attempts=_REFUSED_ATTEMPTS,
        )

    def _changed(self, how: str) -> SourceChanged:
        return SourceChanged(f"it changed while Azure was reading it: {how}; try again to copy what there is")


def _source_status(response: Any) -> int:
    told = response.headers.get("x-ms-copy-source-status-code", "")
    if told.isdecimal():
        return int(told)
    match = _SOURCE_STATUS.search(response.content)
    return int(match[1]) if match else int(response.status_code)
