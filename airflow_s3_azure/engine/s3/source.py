"""Reading S3: HEAD, and ranges of one version of an object, through presigned URLs into a caller's buffer.

Every request is signed when it is sent, so no URL outlives its credentials, and is pinned to the object's ETag (and
version), so bytes of two versions never mix. S3's answers are translated into this package's errors here and
nowhere else.
"""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Literal, Protocol
from urllib.parse import urlsplit

import requests
import urllib3.exceptions

from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import BlockChecksums, RunningChecksums, stored_checksum
from airflow_s3_azure.engine.errors import (
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.http.client import Connections, Response
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES, TRANSIENT_STATUSES, retry_after
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.properties import KeptProperties, http_date

READ_SIZE = 256 * 1024
"""Bytes asked of the socket at once: few enough to be still in the processor's cache for their checksum."""
_MAX_DOCUMENT = 1024 * 1024
"""Bytes of the longest document that is read: the tags of an object."""

_MD5 = re.compile("[0-9a-f]{32}")
_ERROR_CODE = re.compile(rb"<Code>([A-Za-z0-9]+)</Code>")
_REGION_CODES = {"PermanentRedirect", "AuthorizationHeaderMalformed", "AuthorizationQueryParametersError"}
_SIGNATURE_CODES = {"AccessDenied", "RequestTimeTooSkewed", "ExpiredToken", "InvalidToken", "SignatureDoesNotMatch"}
"""Refusals that a new signature may mend: an expired URL is AccessDenied too. A HEAD is refused without a code."""
SIGNED_HEADERS = {
    "IfMatch": "If-Match",
    "Range": "Range",
    "ChecksumMode": "x-amz-checksum-mode",
    "RequestPayer": "x-amz-request-payer",
}
"""Parameters that botocore signs as headers: the request must send exactly these."""

Params = Mapping[str, str | int]
"""Parameters of a boto3 S3 operation, without the bucket."""
Count = Callable[[int], None]
"""Told how many bytes a request brought."""
Operation = Literal["head_object", "get_object", "get_object_tagging", "head_bucket"]


class _UnclearError(SourceReadError):
    """S3 refused a HEAD with 400, which may mean much."""


class Presign(Protocol):
    """Signs one request. Called for every request, from several threads."""

    def __call__(self, operation: Operation, params: Params) -> str:
        """Return a URL for a boto3 S3 operation with these parameters."""


class S3Source:
    """The objects of one bucket.

    :param bucket: its name
    :param presign: signs each request
    :param session: its proxies, CA bundle and client certificate hold for all requests
    :param cancellation: looked at between two reads
    :param connect_timeout: seconds
    :param read_timeout: seconds without a byte
    :param requester_pays: whether the reader agrees to pay for requester-pays buckets
    :param bandwidth: limits what is read of objects' bodies; None: nothing does
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
    ) -> None:
        self.bucket = bucket
        self._presign = presign
        self._cancellation = cancellation
        self._connections = Connections(
            session, cancellation, connect_timeout=connect_timeout, read_timeout=read_timeout
        )
        self._requester_pays = requester_pays
        self._bandwidth = bandwidth

    def url(self, key: str) -> str:
        """Return the ``s3://`` name of a key, for messages and logs."""
        return f"s3://{self.bucket}/{key}"

    def endpoint(self) -> str:
        """Return the URL of the host that this bucket's requests go to, without any credential."""
        parts = urlsplit(self._presign("head_bucket", {}))
        return f"{parts.scheme}://{parts.netloc}"

    def readable_url(self, source: SourceObject) -> str:
        """Return a URL with which anyone can read this version of an object, until it runs out: a credential.

        Only the host is signed with it, so that whoever reads may name a range and conditions of their own.

        :raises SourceAccessDenied: if there are no credentials to sign with
        """
        params = {"Key": source.key}
        if source.version_id is not None:
            params["VersionId"] = source.version_id
        self._cancellation.check()
        return self._presign("get_object", params)

    def spend_bandwidth(self, size: int) -> None:
        """Wait until those who read ``size`` bytes may go on, where there is a limit."""
        if self._bandwidth is not None:
            self._bandwidth.spend(size)

    def head(self, key: str, version_id: str | None = None) -> SourceObject:
        """Ask S3 what it holds under a key. One request; one more where the answer is 404, to name what is missing.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        params = {"Key": key, "ChecksumMode": "ENABLED"}
        if version_id is not None:
            params["VersionId"] = version_id
        try:
            response = self._send("HEAD", "head_object", key, params)
        except SourceNotFound:
            self._check_bucket(key)
            raise
        except _UnclearError:
            # The answer to a HEAD has no body, so a GET of one byte has to say what is wrong.
            self._send("GET", "get_object", key, {**params, "Range": "bytes=0-0"}).close()
            raise
        with response:
            return _describe_object(key, dict(response.headers))

    def part_size(self, source: SourceObject) -> int | None:
        """Ask S3 for the size in bytes of an object's first part; None if not all but the last can have it.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        size, parts = self._part(source, 1)
        return size if size and -(-source.size // size) == parts else None

    def has_equal_parts(self, source: SourceObject, part_size: int) -> bool:
        """Ask S3 for every part whether it has this size, the last one what is left. Up to 10,000 requests.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        parts = -(-source.size // part_size)
        expected = {parts: source.size - (parts - 1) * part_size, **dict.fromkeys(range(1, parts), part_size)}
        return all(self._part(source, number) == (size, parts) for number, size in expected.items())

    def _part(self, source: SourceObject, number: int) -> tuple[int, int]:
        """Return the size in bytes of one part, and how many parts there are."""
        params: dict[str, str | int] = {"Key": source.key, "IfMatch": f'"{source.etag}"', "PartNumber": number}
        if source.version_id is not None:
            params["VersionId"] = source.version_id
        with self._send("HEAD", "head_object", source.key, params) as response:
            return (
                int(response.headers.get("Content-Length", 0)),
                int(response.headers.get("x-amz-mp-parts-count", 0)),
            )

    def tags(self, key: str, version_id: str | None = None) -> dict[str, str]:
        """Return an object's tags. Needs ``s3:GetObjectTagging``.

        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        params = {"Key": key} if version_id is None else {"Key": key, "VersionId": version_id}
        with self._send("GET", "get_object_tagging", key, params) as response:
            try:
                document = ET.fromstring(response.read(_MAX_DOCUMENT))
            except (ET.ParseError, ValueError, LookupError, OSError) as error:
                message = f"the tags that S3 sent cannot be read ({type(error).__name__})"
                raise SourceReadError(message, key=self.url(key), transient=True) from None
        tags = (one for one in document.iter() if one.tag.rpartition("}")[2] == "Tag")
        return {one.findtext("{*}Key", ""): one.findtext("{*}Value", "") for one in tags}

    def read(
        self,
        source: SourceObject,
        block: Block,
        into: memoryview,
        count: Count,
        on_ending: Callable[[], None] = lambda: None,
    ) -> BlockChecksums:
        """Read one block of an object into ``into``, which has the block's size, and return its checksums.

        :param count: called with the bytes that were read, also when they were too few
        :param on_ending: called when the rest will take about as long as this answer took to begin: if another block
            is asked for then, it comes when this one is over
        :raises SourceChanged: if the key no longer holds this version
        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        params = {"Key": source.key, "IfMatch": f'"{source.etag}"', "Range": f"bytes={block.start}-{block.stop - 1}"}
        if source.version_id is not None:
            params["VersionId"] = source.version_id
        asked = time.monotonic()
        try:
            response = self._send("GET", "get_object", source.key, params)
        except SourceNotFound as error:
            raise SourceChanged(
                f"it was there when the copy began, but now {error.message}; try again to copy what there is",
                key=self.url(source.key),
            ) from None
        with response:
            expected = f"bytes {block.start}-{block.stop - 1}/{source.size}"
            found = response.headers.get("Content-Range")
            if response.status_code != 206 or found != expected:
                raise SourceReadError(
                    f"asked for {expected!r}, but S3 answered {response.status_code} with Content-Range {found!r}: "
                    "the endpoint, or a proxy before it, does not honour Range requests",
                    key=self.url(source.key),
                )
            checksums = RunningChecksums(source.checksum)
            ending = _Ending(asked, block.size, on_ending)

            def on_piece(piece: memoryview) -> None:
                checksums.add(piece)
                ending.add(len(piece))

            self._fill(response, into, source.key, count, on_piece)
            return checksums.of_block()

    def read_whole(self, key: str, etag: str, version_id: str | None, into: memoryview, count: Count) -> SourceObject:
        """Read an object of known size and ETag in one request, into ``into``, which has its size.

        :param count: called with the bytes that were read, also when they were too few
        :return: what the answer's headers say about it
        :raises SourceChanged: if the key no longer holds this ETag and size
        :raises TransferError: see :mod:`airflow_s3_azure.engine.errors`
        """
        params = {"Key": key, "IfMatch": f'"{etag}"', "ChecksumMode": "ENABLED"}
        if version_id is not None:
            params["VersionId"] = version_id
        with self._send("GET", "get_object", key, params) as response:
            found = _describe_object(key, dict(response.headers))
            if found.size != len(into):
                raise SourceChanged(
                    f"it had {len(into):,} bytes when it was planned and has {found.size:,} now", key=self.url(key)
                )
            self._fill(response, into, key, count)
            return found

    def _send(self, method: str, operation: Operation, key: str, params: Params) -> Response:
        self._cancellation.check()
        if self._requester_pays and operation != "head_bucket":
            params = {**params, "RequestPayer": "requester"}
        url = self._presign(operation, params)
        failure: TransferError
        try:
            response = self._connections.send(method, url, _headers(params))
        except (OSError, urllib3.exceptions.HTTPError) as error:  # a missing CA bundle is a plain OSError
            failure = SourceReadError(f"S3 could not be reached: {describe(error)}", key=self.url(key), transient=True)
        else:
            if response.status_code in (200, 206):
                return response
            with response:
                failure = self._translate(response, key, params)
        raise failure  # outside the handler, so that no exception that quotes the URL hangs on to it

    def _fill(
        self,
        response: Response,
        into: memoryview,
        key: str,
        count: Count,
        on_piece: Callable[[memoryview], None] | None = None,
    ) -> None:
        """Read the body, which must have the size of ``into``, as it comes: no copy and no decoding."""
        position = 0
        why: str | None = None
        try:
            while position < len(into):
                self._cancellation.check()
                piece = into[position : position + READ_SIZE]
                received = response.readinto(piece)
                if received == 0:
                    why = "the connection was closed"
                    break
                if on_piece is not None:
                    on_piece(piece[:received])
                position += received
                self.spend_bandwidth(received)
        except OSError as error:
            why = describe(error)
        finally:
            count(position)
        if why is not None:
            raise SourceReadError(
                f"the body ended after {position:,} of {len(into):,} bytes: {why}", key=self.url(key), transient=True
            )

    def _check_bucket(self, key: str) -> None:
        """Say that the bucket is missing, if S3 says so. A bucket that may not be looked at is taken to exist."""
        try:
            self._send("HEAD", "head_bucket", key, {}).close()
        except SourceNotFound:
            raise SourceNotFound(
                f"there is no bucket {self.bucket!r}; check the name and the connection's region and endpoint",
                key=self.url(key),
            ) from None
        except TransferError:
            return

    def _translate(self, response: Response, key: str, params: Params) -> TransferError:
        status = response.status_code
        code = _error_code(response)
        where, what = self.url(key), f"S3 answered {status} {code or response.reason}"
        if status == 412:
            return SourceChanged(
                f"it changed: its ETag is no longer {params.get('IfMatch', '?')}; try again to copy the new version",
                key=where,
            )
        if code == "InvalidObjectState":
            return SourceArchived(f"{what}: it is archived; restore it first, or leave it out", key=where)
        if status in (301, 307) or code in _REGION_CODES:
            region = response.headers.get("x-amz-bucket-region", "another one")
            return SourceReadError(
                f"{what}: bucket {self.bucket!r} is in region {region}; set region_name in the AWS connection's extra",
                key=where,
                retryable=False,
            )
        if status == 400 and response.method == "HEAD":
            return _UnclearError(what, key=where)
        if code == "InvalidRequest":
            return SourceAccessDenied(
                f"{what}: most likely it is encrypted with a customer's own key (SSE-C), which cannot be read through "
                "a presigned URL; re-encrypt it with SSE-S3 or SSE-KMS, or leave it out",
                key=where,
            )
        if status == 404:
            return SourceNotFound(
                f"{what}: there is no such object; check the key and the connection's region", key=where
            )
        if status in (401, 403) or code in _SIGNATURE_CODES:
            return SourceAccessDenied(
                f"{what}: the AWS connection needs s3:GetObject here (s3:GetObjectVersion for versions, kms:Decrypt "
                "for KMS keys), and s3:ListBucket to tell a missing key from a forbidden one",
                key=where,
                # Each attempt is signed anew; more than one more would only repeat a refusal.
                transient=not code or code in _SIGNATURE_CODES,
                attempts=2,
            )
        return SourceReadError(
            what,
            key=where,
            transient=status in TRANSIENT_STATUSES,
            throttled=status in THROTTLED_STATUSES,
            retry_after=retry_after(response.headers),
        )


class _Ending:
    """Tells once, while a body is read, that the rest takes no longer than the answer took to begin.

    :param asked: when the request was sent, by the monotonic clock
    """

    def __init__(self, asked: float, size: int, tell: Callable[[], None]) -> None:
        self._began = time.monotonic()
        self._wait = self._began - asked
        self._size = size
        self._read = 0
        self._tell: Callable[[], None] | None = tell

    def add(self, size: int) -> None:
        """Take note of bytes that came."""
        self._read += size
        if self._tell is not None and self._is_ending():
            self._tell()
            self._tell = None

    def _is_ending(self) -> bool:
        left = self._size - self._read
        # Not before the half: how fast it comes is not known then, and a long wait says nothing of the next one.
        return left * 2 <= self._size and left * (time.monotonic() - self._began) <= self._wait * self._read


def _headers(params: Params) -> dict[str, str]:
    signed = {header: str(params[name]) for name, header in SIGNED_HEADERS.items() if name in params}
    return {"Accept-Encoding": "identity", **signed}


def _error_code(response: Response) -> str:
    try:
        match = _ERROR_CODE.search(response.read(64 * 1024))
    except OSError:
        return ""
    return match[1].decode("ascii") if match else ""


def _md5(headers: Mapping[str, str]) -> str | None:
    """Return the MD5 that an ETag is: of an object uploaded in one request, without KMS or customer keys."""
    etag = headers.get("etag", "").strip('"')
    is_plain = headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
    if is_plain and "x-amz-server-side-encryption-customer-algorithm" not in headers and _MD5.fullmatch(etag):
        return etag
    return None


def _is_archived(headers: Mapping[str, str]) -> bool:
    if "x-amz-archive-status" in headers:  # Intelligent-Tiering's archive tiers
        return True
    restored = 'ongoing-request="false"' in headers.get("x-amz-restore", "")
    return headers.get("x-amz-storage-class") in ("GLACIER", "DEEP_ARCHIVE") and not restored


def _describe_object(key: str, found: Mapping[str, str]) -> SourceObject:
    """Return what an answer's headers, by their names in lower case, say about an object."""
    version = found.get("x-amz-version-id")
    return SourceObject(
        key=key,
        size=int(found.get("content-length", 0)),
        etag=found.get("etag", "").strip('"'),
        version_id=None if version == "null" else version,
        last_modified=http_date(found.get("last-modified")),
        checksum=stored_checksum(found),
        md5=_md5(found),
        is_archived=_is_archived(found),
        kept=KeptProperties.from_s3(found),
    )
