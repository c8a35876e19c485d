"""Reads S3: HEAD, and ranges of one version of an object, through presigned URLs into a caller's buffer.

Invariants: each request is signed when it is sent, so no URL outlives its credentials. Each read is pinned to an ETag and a
version, and the response is verified against both, so bytes of two versions never mix.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import requests

from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums, RunningChecksums
from airflow_s3_azure.engine.errors import SourceChanged, SourceNotFound, SourceReadError, TransferError
from airflow_s3_azure.engine.http.client import Connections, Response
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.message import Headers
from airflow_s3_azure.engine.http.observer import Observer
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.quoting import request_id
from airflow_s3_azure.engine.s3.bodies import check_range, is_longer, read_document
from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket
from airflow_s3_azure.engine.s3.documents import MAX_DOCUMENT, MAX_PAGE, parse_document
from airflow_s3_azure.engine.s3.ending import Ending
from airflow_s3_azure.engine.s3.headers import MAX_PARTS, check_version, content_length, describe_object, parts_count
from airflow_s3_azure.engine.s3.params import Operation, Params, pinned, request_headers
from airflow_s3_azure.engine.s3.refusals import THE_CONNECTION, Refusal, translate, unreachable
from airflow_s3_azure.engine.xml import InvalidXML

READ_SIZE = 1024 * 1024
"""Bytes of a piece of a body at most: few enough to stay in the processor's cache for their checksum."""
_PARTIAL = {"Range", "PartNumber"}
"""Parameters after which S3 returns 206."""

Count = Callable[[int], None]
"""Called with the number of bytes that were read."""


class Presign(Protocol):
    """Signs one request. Called for every request, from several threads."""

    def __call__(self, operation: Operation, params: Params) -> str:
        """Return a URL for a boto3 S3 operation with these parameters."""


class _Reading:
    """Closes a response at the end; adds the URL of its object and the service's request IDs to an error."""

    # A class, because @contextmanager takes five calls more for each object.
    __slots__ = ("_response", "_url")

    def __init__(self, response: Response, url: str) -> None:
        self._response = response
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._response.close()
        if isinstance(error, TransferError):
            error.key, error.request_id = self._url, request_id(self._response.headers)


class S3Source:
    """The objects of one bucket.

    :param bucket: its name
    :param presign: signs each request
    :param session: its proxies, CA bundle and client certificate are used for all requests
    :param cancellation: checked between two reads
    :param connect_timeout: seconds
    :param read_timeout: seconds without a byte
    :param requester_pays: whether the reader agrees to pay for requester-pays buckets
    :param bandwidth: limits the reads of bodies; None: no limit
    :param connection: the name, in errors, of the connection whose credentials sign
    :param on_exchange: called after each request, with the headers of its response; None: nothing is
    """

    def __init__(
        self,
        bucket: str,
        presign: Presign,
        session: requests.Session,
        cancellation: Cancellation,
        *,
        connect_timeout: float = 20.0,
        read_timeout: float = 60.0,
        requester_pays: bool = False,
        bandwidth: Bandwidth | None = None,
        connection: str = THE_CONNECTION,
        on_exchange: Observer | None = None,
    ) -> None:
        self.bucket = bucket
        self._presign = presign
        self._cancellation = cancellation
        self._connections = Connections(
            session,
            cancellation,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            on_exchange=on_exchange,
        )
        self._requester_pays = requester_pays
        self._bandwidth = bandwidth
        self.connection = connection
        self._may_be_md5 = not is_directory_bucket(bucket)
        self._has_responded = False

    def url(self, key: str) -> str:
        """Return the ``s3://`` name of a key, for messages and logs."""
        return f"s3://{self.bucket}/{key}"

    @property
    def payer(self) -> Mapping[str, str]:
        """The parameter in which the reader agrees to pay for a requester-pays bucket."""
        return {"RequestPayer": "requester"} if self._requester_pays else {}

    def endpoint(self) -> str:
        """Return the URL of the host of this bucket's requests, without credentials."""
        parts = urlsplit(self._presign("head_bucket", {}))
        return f"{parts.scheme}://{parts.netloc}"

    def readable_url(self, source: SourceObject) -> str:
        """Return a presigned URL of this version of an object: a credential, until it expires.

        Of the headers only Host is signed, so that the reader may add a range and conditions.

        :raises SourceAccessDenied: if there are no credentials to sign with
        """
        self._cancellation.check()
        return self._presign("get_object", pinned({"Key": source.key}, version_id=source.version_id))

    def spend_bandwidth(self, size: int) -> None:
        """Wait until ``size`` bytes are within the bandwidth limit, if there is one."""
        if self._bandwidth is not None:
            self._bandwidth.spend(size)

    def head_bucket(self) -> Headers:
        """Return the headers with which S3 describes the bucket. Needs ``s3:ListBucket``. One request.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        with self._send("HEAD", "head_bucket", "", {}) as response:
            return response.headers

    def head(self, key: str, version_id: str | None = None) -> SourceObject:
        """Return the object of a key. One request; one more after a refusal, because a HEAD has no reason in a body.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        params = pinned({"Key": key, "ChecksumMode": "ENABLED"}, version_id=version_id)
        response = self._send("HEAD", "head_object", key, params)
        with self._reading(response, key):
            return self._describe(key, response, None, version_id)

    def part_size(self, source: SourceObject) -> int | None:
        """Return the size in bytes of an object's first part; None if its parts, except the last, cannot have one size.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        size, parts = self._part(source, 1)
        is_possible = 0 < size <= source.size and parts <= MAX_PARTS and -(-source.size // size) == parts
        return size if is_possible else None

    def has_equal_parts(self, source: SourceObject, part_size: int) -> bool:
        """Return whether every part has this size, and the last one the rest. Up to 10,000 requests.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        parts = -(-source.size // part_size)
        expected = {parts: source.size - (parts - 1) * part_size, **dict.fromkeys(range(1, parts), part_size)}
        return all(self._part(source, number) == (size, parts) for number, size in expected.items())

    def _part(self, source: SourceObject, number: int) -> tuple[int, int]:
        """Return the size in bytes of one part, and the number of parts."""
        params = pinned({"Key": source.key, "PartNumber": number}, source.etag, source.version_id)
        response = self._send("HEAD", "head_object", source.key, params)
        with self._reading(response, source.key):
            check_version(response.headers, source.etag, source.version_id)
            return content_length(response.headers), parts_count(response.headers)

    def tags(self, key: str, version_id: str | None = None) -> dict[str, str]:
        """Return an object's tags. Needs ``s3:GetObjectTagging``.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        response = self._send("GET", "get_object_tagging", key, pinned({"Key": key}, version_id=version_id))
        with self._reading(response, key):
            try:
                document = parse_document(read_document(response, MAX_DOCUMENT, "the tags"), "Tagging")
            except InvalidXML as error:
                raise SourceReadError(f"the tags from S3 cannot be read: {error}", transient=True) from None
        return {one.findtext("{*}Key", ""): one.findtext("{*}Value", "") for one in document.iterfind(".//{*}Tag")}

    def list_page(self, params: Params) -> bytes:
        """Return one page of a listing of the bucket: a document of S3. One request.

        :param params: of boto3's ``list_objects_v2``, with ``Prefix``
        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        response = self._send("GET", "list_objects_v2", prefix := str(params["Prefix"]), params)
        with self._reading(response, prefix):
            return read_document(response, MAX_PAGE, "the listing")

    def read(
        self,
        source: SourceObject,
        block: Block,
        into: memoryview,
        count: Count,
        on_ending: Callable[[], None] = lambda: None,
    ) -> BlockChecksums:
        """Read one block of an object into ``into``, which has the block's size, and return its checksums.

        :param count: called with the number of bytes that were read, even if they were too few
        :param on_ending: called when the next block is to be requested, see :class:`Ending`
        :raises SourceChanged: if the key no longer holds this version
        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        params = pinned(
            {"Key": source.key, "Range": f"bytes={block.start}-{block.stop - 1}"}, source.etag, source.version_id
        )
        requested = time.monotonic()
        try:
            response = self._send("GET", "get_object", source.key, params)
        except SourceNotFound as error:
            raise SourceChanged(
                f"it existed when the copy began, but now {error.message}; try again to copy the current version",
                key=error.key,
                request_id=error.request_id,
            ) from None
        with self._reading(response, source.key):
            check_range(response, source, block)
            checksums = RunningChecksums(source.checksum)
            ending = Ending(requested, block.size, on_ending)

            def on_piece(piece: memoryview) -> None:
                checksums.add(piece)
                ending.add(len(piece))

            self._fill(response, into, count, on_piece)
            return checksums.of_block()

    def read_whole(self, key: str, etag: str, version_id: str | None, into: memoryview, count: Count) -> SourceObject:
        """Read an object of known size and ETag in one request, into ``into``, which has its size.

        :param count: called with the number of bytes that were read, even if they were too few
        :return: the object, from the response's headers
        :raises SourceChanged: if the key no longer holds this ETag and size
        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        response = self._send(
            "GET", "get_object", key, pinned({"Key": key, "ChecksumMode": "ENABLED"}, etag, version_id)
        )
        with self._reading(response, key):
            found = self._describe(key, response, etag, version_id)
            if found.size != len(into):
                raise SourceChanged(f"it had {len(into):,} bytes when it was planned and has {found.size:,} now")
            self._fill(response, into, count)
            return found

    def _describe(self, key: str, response: Response, etag: str | None, version_id: str | None) -> SourceObject:
        return describe_object(
            key, response.headers.fields, etag=etag, version_id=version_id, may_be_md5=self._may_be_md5
        )

    def _reading(self, response: Response, key: str) -> _Reading:
        return _Reading(response, self.url(key))

    def _send(self, method: str, operation: Operation, key: str, params: Params) -> Response:
        self._cancellation.check()
        if operation != "head_bucket":
            params = {**params, **self.payer}
        url = self._presign(operation, params)
        failure: TransferError
        try:
            response = self._connections.send(method, url, request_headers(params))
        except OSError as error:  # a missing CA bundle is a plain OSError
            failure = unreachable(
                error, url, key=self.url(key), connection=self.connection, is_known=self._has_responded
            )
        else:
            self._has_responded = True
            if response.status_code == 200 or (response.status_code == 206 and not _PARTIAL.isdisjoint(params)):
                return response
            with response:
                refusal = Refusal.of_response(operation, response)
            etag = str(params["IfMatch"]).strip('"') if "IfMatch" in params else None
            failure = translate(refusal, bucket=self.bucket, key=self.url(key), connection=self.connection, etag=etag)
            if operation == "head_object" and refusal.status in (400, 401, 403, 404):
                failure = self._explain_head(key, params) or failure
        raise failure  # outside the handler: the context would be an exception that quotes the URL

    def _explain_head(self, key: str, params: Params) -> TransferError | None:
        """Return why a HEAD was refused, from a GET of one byte: the response to a HEAD has no body."""
        params = {name: value for name, value in params.items() if name != "PartNumber"}
        try:
            self._send("GET", "get_object", key, {**params, "Range": "bytes=0-0"}).close()
        except SourceChanged:  # 416: an empty object has no first byte
            return None
        except TransferError as error:
            return error
        return None

    def _fill(
        self, response: Response, into: memoryview, count: Count, on_piece: Callable[[memoryview], None] | None = None
    ) -> None:
        """Read the body, which must have the size of ``into``, without a copy and without decoding."""
        position = 0
        why: str | None = None
        try:
            while position < len(into):
                self._cancellation.check()
                received = response.readinto(into[position : position + READ_SIZE])
                if received == 0:
                    why = "the connection was closed"
                    break
                if on_piece is not None:
                    on_piece(into[position : position + received])
                position += received
                self.spend_bandwidth(received)
            if why is None and is_longer(response, position):
                message = f"the body is longer than the {len(into):,} bytes that were requested"
                raise SourceReadError(message, transient=True)
        except OSError as error:
            why = describe(error)
        finally:
            count(position)
        if why is not None:
            raise SourceReadError(f"the body ended after {position:,} of {len(into):,} bytes: {why}", transient=True)
