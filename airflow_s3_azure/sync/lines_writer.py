"""Writes JSON lines to the container as a stream: 4 MiB are buffered, for any number of lines.

The lines of a blob whose name ends in ``.gz`` are compressed: each block is a gzip member of its own, so that every commit
is a valid gzip file (RFC 1952, 2.2).

Three rules keep two writers of one blob apart, and a block list consistent with the lines:

* Block IDs begin with the writer's random token, so no writer can replace another's block by accident.
* The first commit is conditional on what was there when the writer began, each further one on the ETag of the last.
  A writer that lost the blob to another therefore fails at its next commit and never writes over it.
* A commit whose response was lost looks like a conflict. The token in the blob's metadata distinguishes the two cases.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from azure.core.exceptions import AzureError
from azure.storage.blob import BlobBlock, ContentSettings

from airflow_s3_azure.engine.azure.sdk_errors import sdk_request, translate
from airflow_s3_azure.engine.azure.service_errors import BlockListRejected, PreconditionFailed
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationWriteError, UntrustedFile
from airflow_s3_azure.engine.model import Precondition
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.fingerprint import Fingerprint, digest_text, range_digest_text
from airflow_s3_azure.sync.gunzip import GZIP, is_gzip
from airflow_s3_azure.sync.lines_reader import condition_options, read_pieces

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

BLOCK_SIZE = 4 * MIB
"""Bytes that a writer buffers before it stages them; 50,000 such blocks are 195 GiB of lines."""
READ_BACK_SIZE = 4 * MIB
"""Bytes of a range request while a file is verified after its commit."""

_LEVEL = 5
"""Of gzip. An unchanged key takes 58 bytes and 5 µs; at level 3 64 bytes and 4 µs, at level 4 59 bytes and 7 µs, at level 6 58 bytes
and 7 µs."""

Row = Mapping[str, Any] | Sequence[Any] | msgspec.Struct

_WRITER = "writer"
"""Metadata by which a writer recognizes its own commit whose response was lost."""
_ONCE = RetryPolicy(attempts=1, throttled_attempts=1)
_encode_into = msgspec.json.Encoder().encode_into
"""At a seventh of the cost of ``json``, which writes the same bytes."""


class LinesWriter:
    """Writes lines to one blob. Each :meth:`commit` makes all lines written so far visible atomically.

    The blob's previous content stays until the first commit. Lines of two writers never mix: when one commits, the
    other's next commit fails.

    :param client: of the container
    :param name: of the blob; see :func:`~airflow_s3_azure.sync.gunzip.is_gzip`
    :param precondition: of the first commit; each further one requires the ETag of the one before. None: commits are
        unconditional
    :param retry: of each request; the SDK's own retries are off
    :param cancellation: ends the wait between two requests
    """

    def __init__(
        self,
        client: ContainerClient,
        name: str,
        precondition: Precondition | None = None,
        *,
        retry: RetryPolicy | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self._client = client
        self._blob = client.get_blob_client(name)
        self.name = name
        self._is_gzip = is_gzip(name)
        self._precondition = precondition
        self._retry = retry or RetryPolicy()
        self._cancellation = cancellation or Cancellation()
        self._own = secrets.token_hex(8)
        self._blocks: list[BlobBlock] = []
        self._committed_blocks = 0
        self._buffer = bytearray()
        self._etag: str | None = None
        self._digest = sha256()
        self._size = 0
        self.rows = 0
        """Lines written so far."""
        self.position = 0
        """Bytes of the lines so far, uncompressed: where the next line begins."""

    def write(self, row: Row) -> None:
        """Add a line."""
        start = len(self._buffer)
        _encode_into(row, self._buffer, start)
        self._buffer += b"\n"
        self.rows += 1
        self.position += len(self._buffer) - start
        if len(self._buffer) >= BLOCK_SIZE:
            self._stage()

    def commit(self, *, seconds: int | None = None) -> None:
        """Make all lines written so far the blob's content.

        :param seconds: send each request once, and give up after this long without a response
        :raises TransferError: if Azure could not be written to, or another writer committed in between
        """
        if self._is_committed():
            return
        # Not every reader takes an empty file for gzip, so a blob without lines has one empty member.
        if self._buffer or (self._is_gzip and not self._blocks):
            self._stage(seconds)
        try:
            self._commit(seconds)
        except (PreconditionFailed, BlockListRejected):
            # If a lost response was this writer's own commit, its block list still describes the blob.
            self._precondition = Precondition(self._own_etag(seconds))
            self._commit(seconds)

    def fingerprint(self) -> Fingerprint:
        """Return the fingerprint of the last commit. No line may have been written since."""
        if self._etag is None or not self._is_committed():
            raise RuntimeError("lines were written after the last commit")
        return Fingerprint(
            self._etag, digest_text(self._digest), self.rows, size=self._size, sha256=self._digest.hexdigest()
        )

    def read_back(self, stops: Sequence[int] = ()) -> list[str]:
        """Verify what was committed, and return the digests of its ranges.

        Between the staging of a block and the commit, anyone who may write to the container can replace the block.
        After this check the ETag identifies the verified content.

        :param stops: bytes after each range of lines, in order; the first range begins at 0
        :raises UntrustedFile: if it is not what was written
        """
        expected, whole, part = self.fingerprint(), sha256(), sha256()
        digests: list[str] = []
        position = 0
        if expected.rows:
            for piece in read_pieces(self._client, self.name, 0, None, etag=expected.etag, size=READ_BACK_SIZE):
                whole.update(piece)
                rest = memoryview(piece)
                while len(digests) < len(stops) and stops[len(digests)] <= position + len(rest):
                    here = stops[len(digests)] - position
                    part.update(rest[:here])
                    digests.append(range_digest_text(part))
                    rest, position, part = rest[here:], position + here, sha256()
                part.update(rest)
                position += len(rest)
        if digest_text(whole) != expected.digest:
            raise UntrustedFile(
                "its content is not what was written: another client wrote to the same blob",
                blob=self.name,
                retryable=True,  # a new try writes another file
            )
        return digests

    def _is_committed(self) -> bool:
        """Return whether the last commit has all lines.

        An empty buffer does not show it: :meth:`write` stages a full one, and so does a commit that then fails.
        """
        return self._etag is not None and not self._buffer and self._committed_blocks == len(self._blocks)

    def _commit(self, seconds: int | None) -> None:
        response = self._send(
            seconds,
            self._blob.commit_block_list,
            self._blocks,
            content_settings=ContentSettings(
                content_type="application/gzip" if self._is_gzip else "application/x-ndjson"
            ),
            metadata={_WRITER: self._own},
            **condition_options(self._precondition),
        )
        self._etag, self._committed_blocks = str(response["etag"]), len(self._blocks)
        if self._precondition is not None:
            self._precondition = Precondition(self._etag)

    def _own_etag(self, seconds: int | None) -> str:
        """Return the blob's ETag if its current content is this writer's."""
        found = self._send(seconds, self._blob.get_blob_properties)
        if found.metadata.get(_WRITER) != self._own:
            raise DestinationWriteError(
                "superseded by another attempt of this task, which wrote this blob last", blob=self.name
            )
        return str(found.etag)

    def _stage(self, seconds: int | None = None) -> None:
        block = BlobBlock(block_id=f"{self._own}-{len(self._blocks):05d}")
        data = zlib.compress(self._buffer, _LEVEL, GZIP) if self._is_gzip else bytes(self._buffer)
        self._send(seconds, self._blob.stage_block, block.id, data, length=len(data))
        self._blocks.append(block)
        self._digest.update(data)
        self._size += len(data)
        self._buffer = bytearray()

    def _send(self, seconds: int | None, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what an SDK call returns; retried by this package's policy, because the SDK's waits 80 s in all.

        :raises TransferError: with the remedy of the error code
        """
        options["retry_total"] = 0
        if seconds is not None:
            options |= {"connection_timeout": seconds, "read_timeout": seconds}

        def attempt() -> Any:
            try:
                with sdk_request():
                    return call(*arguments, **options)
            except AzureError as error:
                failure = translate(error, f"{self.name.rpartition('/')[2]} could not be written", self.name)
            raise failure

        return (self._retry if seconds is None else _ONCE).call(attempt, self._cancellation)
