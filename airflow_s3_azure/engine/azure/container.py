"""Writing Azure block blobs: stage, list staged, commit, put small, look.

The six REST calls that a copy consists of, over azure-core's public pipeline, because the SDK's ``BlobClient``
can neither send the CRC-64 that was computed here nor put a blob from a reused buffer without copying it. Azure's
answers are translated into this package's errors here and nowhere else.
"""

from __future__ import annotations

import base64
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import quote, urlencode

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import Pipeline
from azure.core.rest import HttpRequest

from airflow_s3_azure.engine.azure.names import why_refused
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import azure_text, read_azure_text
from airflow_s3_azure.engine.errors import (
    DestinationAccessDenied,
    DestinationConflict,
    DestinationWriteError,
    TransferError,
)
from airflow_s3_azure.engine.http.client import Headers
from airflow_s3_azure.engine.http.session import THROTTLED_STATUSES, TRANSIENT_STATUSES, describe, retry_after
from airflow_s3_azure.engine.model import BlobContent, BlobState, Precondition, StagedBlock
from airflow_s3_azure.engine.properties import SourceRecord, http_date
from airflow_s3_azure.engine.server_side.request import Pull

API_VERSION = "2023-11-03"
"""The REST version these calls are written for; later ones add nothing that they use."""

_PRECONDITION_FAILED = {"BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"}
_BLOB_HEADER = {
    "content-type": "x-ms-blob-content-type",
    "content-encoding": "x-ms-blob-content-encoding",
    "content-language": "x-ms-blob-content-language",
    "content-disposition": "x-ms-blob-content-disposition",
    "cache-control": "x-ms-blob-cache-control",
}


class PreconditionFailed(DestinationConflict):
    """The blob is not what it was when the copy was planned: a twin finished first, or someone else wrote it."""


@dataclass(frozen=True, slots=True)
class ContainerAddress:
    """Where a container is.

    :param url: without query, as ``https://account.blob.core.windows.net/container``
    :param query: a SAS from the account's URL, without ``?``; secret; empty if the pipeline authorises by itself
    """

    url: str
    query: str = ""

    def __repr__(self) -> str:
        return f"ContainerAddress({self.url!r})"


class BlobContainer:
    """The blobs of one container.

    :param address: where it is
    :param pipeline: an azure-core pipeline whose policies authorise each request; no retries of its own
    :param cancellation: looked at before each request
    """

    def __init__(
        self, address: ContainerAddress, pipeline: Pipeline[HttpRequest, Any], cancellation: Cancellation
    ) -> None:
        self._address = address
        self._pipeline = pipeline
        self._cancellation = cancellation

    @property
    def url(self) -> str:
        """The container's URL, without any credential."""
        return self._address.url

    def blob_url(self, blob: str) -> str:
        """Return a blob's URL, without any credential."""
        return f"{self._address.url}/{quote(blob, safe='/~')}"

    def head(self, blob: str) -> BlobState | None:
        """Return the committed blob, or None if there is none (blocks that are only staged do not count)."""
        response = self._send("HEAD", blob, accept_missing=True)
        if response.status_code == 404:
            return None
        metadata = {
            name[len("x-ms-meta-") :]: value
            for name, value in response.headers.items()
            if name.lower().startswith("x-ms-meta-")
        }
        return BlobState(
            etag=response.headers["ETag"],
            size=int(response.headers.get("Content-Length", 0)),
            last_modified=http_date(response.headers.get("Last-Modified")),
            record=SourceRecord.from_metadata(metadata),
        )

    def put(self, blob: str, data: memoryview, crc64: int, content: BlobContent, condition: Precondition) -> str:
        """Create or replace a blob in one request, atomically. Blocks staged for it are dropped.

        :return: the new blob's ETag
        :raises PreconditionFailed: if ``condition`` does not hold; the blob is as it was
        """
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "x-ms-content-crc64": azure_text(crc64),
            **_content_headers(content),
            **condition.headers(),
        }
        return str(self._send("PUT", blob, headers=headers, data=data).headers["ETag"])

    def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
        """Stage one block. It stays invisible until it is committed; Azure drops it after seven days.

        :param block_id: ASCII, of one length for all blocks of the blob
        :param crc64: Azure refuses the block if its bytes have another one
        """
        query = {"comp": "block", "blockid": _encode_id(block_id)}
        self._send("PUT", blob, query=query, headers={"x-ms-content-crc64": azure_text(crc64)}, data=data)

    def stage_from(self, blob: str, block_id: str, pull: Pull) -> int | None:
        """Have Azure read one block from elsewhere by itself, and stage it. Ends when it has.

        :param block_id: ASCII, of one length for all blocks of the blob
        :return: the CRC-64/NVME of what it read; None if it did not say, as where it was given an MD5 to check
        :raises TransferError: see :mod:`airflow_s3_azure.engine.server_side.request`
        """
        query = {"comp": "block", "blockid": _encode_id(block_id)}
        response = self._send(
            "PUT", blob, query=query, headers=pull.headers(), data=memoryview(b""), translate=pull.translate
        )
        return read_azure_text(response.headers.get("x-ms-content-crc64", ""))

    def staged(self, blob: str) -> list[StagedBlock]:
        """Return the uncommitted blocks that Azure holds for a blob, also those of other tools."""
        query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
        response = self._send("GET", blob, query=query, accept_missing=True)
        if response.status_code == 404:
            return []
        try:
            return [
                StagedBlock(base64.b64decode(element.findtext("Name", "")), int(element.findtext("Size", "0")))
                for element in ET.fromstring(response.content).iterfind("UncommittedBlocks/Block")
            ]
        except (ET.ParseError, ValueError, LookupError) as error:
            message = f"the list of staged blocks that Azure sent cannot be read ({type(error).__name__})"
            raise DestinationWriteError(message, blob=self.blob_url(blob), transient=True) from None

    def commit(self, blob: str, block_ids: Iterable[str], content: BlobContent, condition: Precondition) -> str:
        """Make the staged blocks the blob, in this order, atomically. Staged blocks that are not named are dropped.

        :return: the new blob's ETag
        :raises PreconditionFailed: if ``condition`` does not hold; the blob is as it was
        """
        names = "".join(f"<Latest>{_encode_id(block_id)}</Latest>" for block_id in block_ids)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{names}</BlockList>'.encode()
        headers = {"content-type": "application/xml", **_content_headers(content), **condition.headers()}
        response = self._send("PUT", blob, query={"comp": "blocklist"}, headers=headers, data=memoryview(body))
        return str(response.headers["ETag"])

    def discard_staged(self, blob: str) -> None:
        """Drop all blocks staged for a blob that does not exist. For a moment an empty blob is visible.

        :raises PreconditionFailed: if the blob exists
        """
        etag = self.commit(blob, [], BlobContent({}, {}), Precondition(None))
        self._send("DELETE", blob, headers={"if-match": etag})

    def _send(
        self,
        method: str,
        blob: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: memoryview | None = None,
        accept_missing: bool = False,
        translate: Callable[[Any], TransferError | None] = lambda _: None,
    ) -> Any:
        self._cancellation.check()
        if refused := why_refused(blob):
            raise DestinationWriteError(
                f"no request was sent for blob {blob!r}: {refused}", blob=self.blob_url(blob), retryable=False
            )
        parts = [part for part in (urlencode(query or {}), self._address.query) if part]
        blob_url = self.blob_url(blob)
        url = blob_url + ("?" + "&".join(parts) if parts else "")
        request = HttpRequest(method, url, content=_body(data))
        # Instead of azure-core's own, which looks each name up anew wherever they are gone through.
        request.headers = _common_headers(headers or {}, data)
        failure: TransferError
        try:
            response = self._pipeline.run(request).http_response
        except ClientAuthenticationError as error:
            failure = DestinationAccessDenied(
                f"no token could be had for Azure ({describe(error)}); check the wasb connection's identity",
                blob=blob_url,
            )
        except AzureError as error:
            failure = DestinationWriteError(
                f"Azure could not be reached: {describe(error)}", blob=blob_url, transient=True
            )
        else:
            if response.status_code in (200, 201, 202) or (accept_missing and response.status_code == 404):
                return response
            failure = translate(response) or self._translate(response, blob)
        raise failure  # outside the handler, so that no exception that quotes a SAS hangs on to it

    def _translate(self, response: Any, blob: str) -> TransferError:
        status = response.status_code
        blob_url = self.blob_url(blob)
        code = response.headers.get("x-ms-error-code", "")
        what = f"Azure answered {status} {code or response.reason}"
        if status == 412 and code.startswith("Lease"):
            return DestinationConflict(f"{what}: the blob is leased; break or release the lease", blob=blob_url)
        if status in (409, 412) and code in _PRECONDITION_FAILED:
            return PreconditionFailed(
                f"{what}: someone else wrote this blob since the copy was planned, and it is left as it is; run the task anew to compare again",
                blob=blob_url,
            )
        if code == "ContainerNotFound":
            return DestinationWriteError(f"{what}: create the container, or set create_container=True", blob=blob_url)
        if code == "InvalidBlobOrBlock":
            return DestinationConflict(
                f"{what}: another tool began to stage blocks for this blob meanwhile; let it finish first",
                blob=blob_url,
            )
        if status == 400 and code in ("InvalidTag", "TagsTooLarge", "EmptyTagName", "InvalidTags"):
            return DestinationConflict(f"{what}: Azure cannot hold its tags; copy without copy_tags", blob=blob_url)
        if code == "BlockCountExceedsLimit":
            return DestinationConflict(
                f"{what}: too many blocks of earlier versions are staged for this blob; wait until Azure drops them "
                "(a week), or copy to another name",
                blob=blob_url,
            )
        if status in (401, 403):
            return DestinationAccessDenied(
                f"{what}: the wasb connection needs to read and write blobs here (role Storage Blob Data Contributor, "
                "or a SAS with racwl; for copy_tags the role Storage Blob Data Owner, or t in the SAS)",
                blob=blob_url,
            )
        if status in (409, 412):
            return DestinationConflict(what, blob=blob_url)
        transient = status in TRANSIENT_STATUSES or code in ("Crc64Mismatch", "Md5Mismatch")
        return DestinationWriteError(
            what,
            blob=blob_url,
            transient=transient,
            throttled=status in THROTTLED_STATUSES,
            retry_after=retry_after(response.headers),
        )


def _body(data: memoryview | None) -> Any:
    # Sent from where it is; `requests` would send an empty memoryview in chunks, which Azure refuses.
    return data or b""


def _common_headers(headers: Mapping[str, str], data: memoryview | None) -> Headers:
    common = {"x-ms-version": API_VERSION, "x-ms-date": formatdate(usegmt=True)}
    if data is not None:
        common["content-length"] = str(len(data))
        common["content-type"] = "application/octet-stream"
    return Headers(common, **headers)


def _content_headers(content: BlobContent) -> dict[str, str]:
    headers = {_BLOB_HEADER[name]: value for name, value in content.headers.items()}
    if content.tags:
        headers["x-ms-tags"] = urlencode(content.tags)
    if content.access_tier is not None:
        headers["x-ms-access-tier"] = content.access_tier
    return headers | {f"x-ms-meta-{name}": value for name, value in content.metadata.items()}


def _encode_id(block_id: str) -> str:
    return base64.b64encode(block_id.encode("ascii")).decode("ascii")
