"""Writes Azure block blobs: stage, list staged, commit, put, HEAD.

These are REST calls over azure-core's public pipeline, because the SDK's ``BlobClient`` cannot send a CRC-64 that was
computed before, and copies the buffer of a put. Invariant: a call returns only for a complete response of Azure with the
expected status; otherwise it raises a :class:`TransferError` with the blob's URL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, urlencode

from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import HttpRequest

from airflow_s3_azure.engine.azure import responses
from airflow_s3_azure.engine.azure.blob_names import why_refused
from airflow_s3_azure.engine.azure.block_list import MAX_BLOCK_LIST, base64_id, read_staged_blocks, write_block_list
from airflow_s3_azure.engine.azure.requests import (
    API_VERSION,
    ContainerAddress,
    content_headers,
    metadata_headers,
    quoted_name,
    request_headers,
)
from airflow_s3_azure.engine.azure.service_errors import BlockIdsConflict, PreconditionFailed
from airflow_s3_azure.engine.azure.source_range import SourceRange
from airflow_s3_azure.engine.azure.transport import Sink
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums, RunningChecksums, StoredChecksum, azure_text, compute
from airflow_s3_azure.engine.errors import DestinationAccessDenied, DestinationWriteError, IntegrityError, TransferError
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.message import Headers
from airflow_s3_azure.engine.model import BlobContent, BlobState, Precondition, StagedBlock
from airflow_s3_azure.engine.quoting import request_id
from airflow_s3_azure.engine.xml import InvalidXML


class BlobContainer:
    """The blobs of one container.

    :param address: of the container
    :param pipeline: an azure-core pipeline whose policies authorize each request; without retries
    :param cancellation: checked before each request
    :param encryption_scope: that encrypts what is written; None: the container's default
    """

    def __init__(
        self,
        address: ContainerAddress,
        pipeline: Pipeline[HttpRequest, Any],
        cancellation: Cancellation,
        encryption_scope: str | None = None,
    ) -> None:
        self._address = address
        self._pipeline = pipeline
        self._cancellation = cancellation
        self._scope = {"x-ms-encryption-scope": encryption_scope} if encryption_scope else {}

    @property
    def url(self) -> str:
        """The container's URL, without credentials."""
        return self._address.url

    def blob_url(self, blob: str) -> str:
        """Return a blob's URL, without credentials."""
        return f"{self._address.url}/{quoted_name(blob)}"

    def head(self, blob: str) -> BlobState | None:
        """Return the committed blob, or None if there is none (staged blocks are no blob).

        :raises DestinationConflict: if there is a directory of this name
        """
        found = self.head_with_metadata(blob)
        return None if found is None else found[0]

    def head_with_metadata(self, blob: str) -> tuple[BlobState, dict[str, str]] | None:
        """Return the committed blob and all of its metadata, by the names as they were written; see :meth:`head`."""
        response = self._send("HEAD", blob, expected=200, missing_ok=True)
        if response.status_code == 404:
            return None
        return responses.blob_state(response, self.blob_url(blob))

    def set_metadata(self, blob: str, metadata: Mapping[str, str], etag: str) -> str:
        """Replace all metadata of a blob that has this ETag. Content and other properties stay.

        :return: the blob's new ETag
        :raises PreconditionFailed: if it has another one
        """
        headers = {**metadata_headers(metadata), "if-match": etag}
        query = {"comp": "metadata"}
        response = self._send("PUT", blob, expected=200, query=query, headers=headers, data=memoryview(b""))
        return responses.etag(response, self.blob_url(blob))

    def put(self, blob: str, data: memoryview, crc64: int, content: BlobContent, condition: Precondition) -> str:
        """Create or replace a blob in one request, atomically. Azure drops the blocks staged for it.

        :return: the new blob's ETag
        :raises PreconditionFailed: if ``condition`` does not hold; the blob is unchanged
        """
        headers = {
            "x-ms-blob-type": "BlockBlob",
            "x-ms-content-crc64": azure_text(crc64),
            **self._scope,
            **content_headers(content),
            **condition.headers(),
        }
        response = self._send("PUT", blob, expected=201, headers=headers, data=data)
        return self._checked_etag(response, blob, crc64)

    def stage(self, blob: str, block_id: str, data: memoryview, crc64: int) -> None:
        """Stage one block. It is invisible until it is committed; Azure drops it after seven days.

        :param block_id: ASCII, of one length for all blocks of the blob
        :param crc64: of ``data``; Azure rejects the block if the received bytes have another one
        """
        query = {"comp": "block", "blockid": base64_id(block_id)}
        headers = {"x-ms-content-crc64": azure_text(crc64), **self._scope}
        try:
            response = self._send("PUT", blob, expected=201, query=query, headers=headers, data=data)
        except BlockIdsConflict as error:
            # Azure sometimes also returns this for concurrent Put Blocks.
            if all(len(one.name) == len(block_id) for one in self.staged(blob)):
                raise DestinationWriteError(
                    f"{error.message.partition(':')[0]}, although all staged block IDs have the length of ours",
                    blob=error.blob,
                    transient=True,
                    request_id=error.request_id,
                ) from None
            raise
        stored = responses.returned_crc(response, self.blob_url(blob))
        if stored not in (None, crc64):
            raise responses.unusable(
                response, self.blob_url(blob), "its CRC-64 of the block is not the one that was sent"
            )

    def stage_from_url(self, blob: str, block_id: str, source: SourceRange) -> int | None:
        """Have Azure read one block from a URL and stage it. Returns when it is staged.

        :param block_id: ASCII, of one length for all blocks of the blob
        :return: the CRC-64/NVME of the bytes that Azure read; None if it returned none, as for a range with an MD5
        :raises TransferError: see :mod:`airflow_s3_azure.engine.azure.source_range`
        """
        query = {"comp": "block", "blockid": base64_id(block_id)}
        response = self._send(
            "PUT",
            blob,
            expected=201,
            query=query,
            headers=source.headers() | self._scope,
            data=memoryview(b""),
            translate=source.translate,
        )
        return responses.returned_crc(response, self.blob_url(blob))

    def staged(self, blob: str) -> list[StagedBlock]:
        """Return the blocks that are staged for a blob, including those of other tools."""
        query = {"comp": "blocklist", "blocklisttype": "uncommitted"}
        response = self._send("GET", blob, expected=200, query=query, missing_ok=True)
        if response.status_code == 404:
            return []
        if len(response.content) > MAX_BLOCK_LIST:
            raise responses.unusable(
                response, self.blob_url(blob), f"its list of staged blocks has more than {MAX_BLOCK_LIST:,} bytes"
            )
        try:
            return read_staged_blocks(response.content)
        except InvalidXML as error:
            reason = f"its list of staged blocks cannot be read: {error}"
        raise responses.unusable(response, self.blob_url(blob), reason)

    def commit(self, blob: str, block_ids: Iterable[str], content: BlobContent, condition: Precondition) -> str:
        """Commit staged blocks as the blob, in this order, atomically. Azure drops staged blocks that are not in the list.

        :return: the new blob's ETag
        :raises PreconditionFailed: if ``condition`` does not hold; the blob is unchanged
        :raises BlockListRejected: if one of the blocks is not staged
        """
        body = memoryview(write_block_list(block_ids))
        headers = {"content-type": "application/xml", **self._scope, **content_headers(content), **condition.headers()}
        response = self._send("PUT", blob, expected=201, query={"comp": "blocklist"}, headers=headers, data=body)
        # The CRC-64 that Azure returns here is that of the list.
        return self._checked_etag(response, blob, compute("CRC64NVME", body))

    def properties(self, query: Mapping[str, str]) -> Headers:
        """Return the headers of the response to a GET of the container: its properties, or those of its account.

        :param query: of the operation, such as Get Container Properties
        """
        return cast("Headers", self._send("GET", None, expected=200, query=query).headers)

    def list_page(self, query: Mapping[str, str], version: str = API_VERSION) -> bytes:
        """Return the document of one page of a listing. One request.

        :param query: of the operation List Blobs, of this ``version`` of the REST API
        """
        query, headers = {"restype": "container", "comp": "list", **query}, {"x-ms-version": version}
        return bytes(self._send("GET", None, expected=200, query=query, headers=headers).content)

    def discard_staged(self, blob: str) -> None:
        """Discard all blocks staged for a blob that does not exist. For a moment an empty blob is visible.

        :raises PreconditionFailed: if the blob exists
        """
        etag = self.commit(blob, [], BlobContent({}, {}), Precondition(None))
        self.delete(blob, etag)

    def delete(self, blob: str, etag: str) -> None:
        """Delete a blob that has this ETag, if it exists: a request whose response was lost may have deleted it.

        :raises PreconditionFailed: if it has another one
        """
        self._send("DELETE", blob, expected=202, headers={"if-match": etag}, missing_ok=True)

    def crc64(
        self, blob: str, start: int, stop: int, etag: str, on_bytes: Callable[[int], None] = lambda _: None
    ) -> int:
        """Read the bytes ``[start, stop)`` of a blob that has this ETag, and return their CRC-64/NVME.

        Memory: 256 KiB, for a range of any size.

        :param on_bytes: called with the number of bytes of each piece; what it raises ends the read
        :raises PreconditionFailed: if the blob has another ETag, or is gone
        """
        return self.checksums(blob, start, stop, etag, on_bytes=on_bytes).crc64

    def checksums(
        self,
        blob: str,
        start: int,
        stop: int,
        etag: str,
        *,
        stored: StoredChecksum | None = None,
        on_bytes: Callable[[int], None] = lambda _: None,
    ) -> BlockChecksums:
        """Read the bytes ``[start, stop)`` of a blob, and return their checksums; see :meth:`crc64`.

        :param stored: a checksum of the object, whose algorithm is computed too
        """
        checksums = RunningChecksums(stored)

        def add(piece: memoryview) -> None:
            checksums.add(piece)
            on_bytes(len(piece))

        self.read(blob, start, stop, etag, add)
        return checksums.of_block()

    def read(self, blob: str, start: int, stop: int, etag: str, on_piece: Sink) -> None:
        """Read the bytes ``[start, stop)`` of a blob that has this ETag.

        Memory: 256 KiB, for a range of any size.

        :param on_piece: called with each piece, in order; what it raises ends the read
        :raises PreconditionFailed: if the blob has another ETag, or is gone
        """
        size = 0

        def count(piece: memoryview) -> None:
            nonlocal size
            self._cancellation.check()
            on_piece(piece[: max(0, stop - start - size)])  # never more than was requested
            size += len(piece)

        headers = {"x-ms-range": f"bytes={start}-{stop - 1}", "if-match": etag}
        response = self._send("GET", blob, expected=206, headers=headers, missing_ok=True, sink=count)
        if response.status_code == 404:
            raise PreconditionFailed("the blob is gone", blob=self.blob_url(blob))
        if (size, response.headers.get("ETag")) != (stop - start, etag):
            raise responses.unusable(
                response, self.blob_url(blob), f"it has {size:,} of {stop - start:,} bytes, or another ETag"
            )

    def _send(
        self,
        method: str,
        blob: str | None,
        *,
        expected: int,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: memoryview | None = None,
        missing_ok: bool = False,
        sink: Sink | None = None,
        translate: Callable[[Any], TransferError | None] = lambda _: None,
    ) -> Any:
        """Send one request and return its response: from Azure, with the expected status.

        A blob name that leaves the container, or is one of the records of syncs, is rejected here, for every caller.

        :param blob: None: the request is for the container
        :param missing_ok: also return a 404 of a missing blob
        :param sink: is passed the pieces of the body of a range
        :param translate: returns the error of an error response; None: translate it by its error code
        """
        self._cancellation.check()
        blob_url = self.url if blob is None else self.blob_url(blob)
        if blob is not None and (refused := why_refused(blob)):
            message = f"no request was sent for blob {blob!r}: {refused}"
            raise DestinationWriteError(message, blob=blob_url, retryable=False)
        encoded = urlencode(query, quote_via=quote) if query else ""
        parts = [part for part in (encoded, self._address.query) if part]
        url = blob_url + ("?" + "&".join(parts) if parts else "")
        # Not that of azure.core.rest, which costs 35 µs more.
        request: Any = HttpRequest(method, url)
        # azure-core's own headers compare names character by character at every access.
        request.headers = request_headers(headers or {}, data)
        request.data = data
        failure: TransferError
        try:
            response = self._pipeline.run(request, **({} if sink is None else {"sink": sink})).http_response
        except ClientAuthenticationError as error:
            failure = DestinationAccessDenied(
                f"could not get an Azure access token ({describe(error)}); check the wasb connection's identity",
                blob=blob_url,
            )
        except AzureError as error:
            failure = DestinationWriteError(
                f"Azure could not be reached: {describe(error)}", blob=blob_url, transient=True
            )
        else:
            status = response.status_code
            if not responses.is_from_azure(response):
                failure = responses.foreign(response, blob_url)
            elif status == expected or (missing_ok and responses.is_missing_blob(response)):
                return response
            elif status < 300:
                failure = responses.unusable(response, blob_url, f"its status is {status}, not {expected}")
            else:
                failure = translate(response) or responses.error_response(request, response).as_error(blob_url)
        raise failure  # outside the handler: the context would be an exception that quotes the SAS

    def _checked_etag(self, response: Any, blob: str, crc64: int) -> str:
        """Return the ETag of a blob that was written; delete the blob if Azure's CRC-64 differs from the sent one."""
        etag = responses.etag(response, self.blob_url(blob))
        if responses.returned_crc(response, self.blob_url(blob)) not in (None, crc64):
            self.delete(blob, etag)
            raise IntegrityError(
                "Azure's CRC-64 of what it committed is not the one that was sent; the blob was deleted",
                blob=self.blob_url(blob),
                request_id=request_id(response.headers),
            )
        return etag
