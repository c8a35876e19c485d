"""JSON lines in a container, written and read as streams: a few MiB are held, however many lines there are.

The container is untrusted. A writer returns the :class:`Fingerprint` of what it wrote; a reader that is given one reads
that and nothing else. Without one it still limits what a line, and thus a worker's memory, can be.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, ContentSettings

from airflow_s3_azure.engine.azure.sdk_errors import describe_response, translate
from airflow_s3_azure.engine.azure.service_errors import BlockListRejected, PreconditionFailed
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationWriteError, UntrustedFile
from airflow_s3_azure.engine.model import Precondition
from airflow_s3_azure.engine.retry import RetryPolicy

if TYPE_CHECKING:
    from hashlib import _Hash

    from azure.storage.blob import ContainerClient

BLOCK_SIZE = 4 * MIB
"""Bytes that a writer holds before it stages them; 50,000 such blocks are 195 GiB of lines."""
PIECE_SIZE = 256 * 1024
"""Bytes that a reader holds; a sort reads dozens of files side by side."""

READ_BACK_SIZE = 4 * MIB
"""Bytes that are read at a time to verify what was written."""
MAX_LINE = 1 * MIB
"""Bytes in a line: hundreds of times the longest that is written."""

Row = Mapping[str, Any] | Sequence[Any]

_WRITER = "writer"
"""Metadata by which a writer recognizes its own commit whose response was lost."""
_ONCE = RetryPolicy(attempts=1, throttled_attempts=1)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a writer wrote. It travels where no writer of the container can change it: in XCom, or in this process.

    :param etag: Azure's, of the committed blob
    :param digest: of the lines; see :func:`digest_text`
    :param rows: how many lines there are
    """

    etag: str
    digest: str
    rows: int

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the fingerprint that was :meth:`as_json`."""
        return cls(found["etag"], found["digest"], found["rows"])

    def as_json(self) -> dict[str, str | int]:
        """Return the fingerprint as XCom holds it."""
        return asdict(self)


def digest_text(digest: _Hash) -> str:
    """Return the first 24 bytes of a SHA-256 in base64: 32 characters, which XCom holds a thousand times."""
    return base64.b64encode(digest.digest()[:24]).decode("ascii")


_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class LinesWriter:
    """Writes lines to one blob. They become visible with :meth:`commit`, all at once, and then again.

    What was in the blob before stays until the first commit. Two writers of one blob never mix: the one whose
    commit comes in between the other's ends the other with an error.

    :param client: of the container
    :param name: of the blob
    :param precondition: of the first commit, that nobody wrote since; each further one has it that nobody wrote since
        the one before. None: whatever is there is replaced
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
        self._name = name
        self._precondition = precondition
        self._retry = retry or RetryPolicy()
        self._cancellation = cancellation or Cancellation()
        self._own = secrets.token_hex(8)
        self._blocks: list[BlobBlock] = []
        self._held = bytearray()
        self._etag: str | None = None
        self._digest = sha256()
        self.rows = 0
        """Lines written so far."""
        self.position = 0
        """Bytes written so far: where the next line begins."""

    def write(self, row: Row) -> None:
        """Add a line."""
        line = _as_json(row).encode() + b"\n"
        self._held += line
        self._digest.update(line)
        self.rows += 1
        self.position += len(line)
        if len(self._held) >= BLOCK_SIZE:
            self._stage()

    def commit(self, *, seconds: int | None = None) -> None:
        """Make all lines written so far the blob's content.

        :param seconds: send each request once, and give up after this long without a response
        :raises TransferError: if Azure could not be written to, or another writer committed in between
        """
        if not self._held and self._etag is not None:
            return
        if self._held:
            self._stage(seconds)
        try:
            self._commit(seconds)
        except (PreconditionFailed, BlockListRejected):
            # A response was lost, and the conflicting commit is this writer's own: then the blocks are as they were.
            self._precondition = Precondition(self._own_etag(seconds))
            self._commit(seconds)

    def fingerprint(self) -> Fingerprint:
        """Return what was written up to the last commit. Only when nothing was written since."""
        if self._etag is None or self._held:
            raise RuntimeError("commit() comes first")
        return Fingerprint(self._etag, digest_text(self._digest), self.rows)

    def read_back(self, stops: Sequence[int] = ()) -> list[str]:
        """Verify what was committed, and return the digests of its ranges.

        Between the staging of a block and the commit, anyone who may write to the container can replace the block.
        From here on the ETag stands for the content.

        :param stops: bytes after each range of lines, in order; the first range begins at 0
        :raises UntrustedFile: if it is not what was written
        """
        expected, whole, part = self.fingerprint(), sha256(), sha256()
        digests: list[str] = []
        position = 0
        if expected.rows:
            for piece in _pieces(self._client, self._name, 0, None, etag=expected.etag, size=READ_BACK_SIZE):
                whole.update(piece)
                rest = memoryview(piece)
                while len(digests) < len(stops) and stops[len(digests)] <= position + len(rest):
                    here = stops[len(digests)] - position
                    part.update(rest[:here])
                    digests.append(digest_text(part))
                    rest, position, part = rest[here:], position + here, sha256()
                part.update(rest)
                position += len(rest)
        if digest_text(whole) != expected.digest:
            raise UntrustedFile(
                "it does not hold what was written to it: someone else wrote to the same blob meanwhile",
                blob=self._name,
                retryable=True,  # a new try writes another file
            )
        return digests

    def _commit(self, seconds: int | None) -> None:
        response = self._send(
            seconds,
            self._blob.commit_block_list,
            self._blocks,
            content_settings=ContentSettings(content_type="application/x-ndjson"),
            metadata={_WRITER: self._own},
            **_as_options(self._precondition),
        )
        self._etag = str(response["etag"])
        if self._precondition is not None:
            self._precondition = Precondition(self._etag)

    def _own_etag(self, seconds: int | None) -> str:
        """Return the blob's ETag, if this writer wrote what is there now."""
        found = self._send(seconds, self._blob.get_blob_properties)
        if found.metadata.get(_WRITER) != self._own:
            raise DestinationWriteError(
                "superseded by another attempt of this task, which wrote this blob last", blob=self._name
            )
        return str(found.etag)

    def _stage(self, seconds: int | None = None) -> None:
        block = BlobBlock(block_id=f"{self._own}-{len(self._blocks):05d}")
        self._send(seconds, self._blob.stage_block, block.id, bytes(self._held), length=len(self._held))
        self._blocks.append(block)
        self._held = bytearray()

    def _send(self, seconds: int | None, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what an SDK call returns; our retry policy, not the SDK's, which waits 80 s in all.

        :raises TransferError: with the remedy of the error code
        """
        options["retry_total"] = 0
        if seconds is not None:
            options |= {"connection_timeout": seconds, "read_timeout": seconds}

        def attempt() -> Any:
            try:
                return call(*arguments, **options)
            except AzureError as error:
                failure = translate(error, f"{self._name.rpartition('/')[2]} could not be written", self._name)
            raise failure

        return (self._retry if seconds is None else _ONCE).call(attempt, self._cancellation)


def _as_options(precondition: Precondition | None) -> dict[str, Any]:
    if precondition is None:
        return {}
    if precondition.etag is None:
        return {"match_condition": MatchConditions.IfMissing}
    return {"etag": precondition.etag, "match_condition": MatchConditions.IfNotModified}


def etag_of(client: ContainerClient, name: str) -> str | None:
    """Return the ETag of a blob, or None if there is none.

    :raises DestinationWriteError: if Azure does not tell
    """
    try:
        return str(client.get_blob_client(name).get_blob_properties().etag)
    except ResourceNotFoundError:
        return None
    except AzureError as error:
        raise DestinationWriteError(f"it could not be read: {describe_response(error)}", blob=name) from None


def read_lines(
    client: ContainerClient,
    name: str,
    start: int = 0,
    stop: int | None = None,
    *,
    expected: Fingerprint | None = None,
    most_rows: int | None = None,
    missing_ok: bool = False,
    parse: Callable[[Any], Any] = lambda row: row,
) -> Iterator[Any]:
    """Yield the rows of a blob, or of a range of it that begins and ends at ends of lines.

    :param start: byte at which the first line begins
    :param stop: byte after the last line; None: to the blob's end
    :param expected: of these lines: only this version of the blob is read; the digest is verified after the last row
    :param most_rows: how many there can be; None: as many as expected, or any number
    :param missing_ok: yield nothing if there is no such blob
    :param parse: checks a row and returns what it is; raises ValueError
    :raises UntrustedFile: naming the line, if it is not what was written, or cannot be
    :raises DestinationWriteError: if it is gone or cannot be read
    """
    most = expected.rows if expected is not None and most_rows is None else most_rows
    digest, rows, rest = sha256(), 0, b""
    for piece in _pieces(client, name, start, stop, etag=expected.etag if expected else None, missing_ok=missing_ok):
        digest.update(piece)
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            rows += 1
            if most is not None and rows > most:
                raise UntrustedFile(f"it has more than the {most:,} lines that were written", blob=name)
            yield _parsed(line, parse, name, rows)
        if len(rest) > MAX_LINE:
            raise _bad_line(name, rows + 1, f"it is longer than {MAX_LINE:,} bytes")
    if rest:
        raise _bad_line(name, rows + 1, "it has no end")
    if expected is not None and (rows, digest_text(digest)) != (expected.rows, expected.digest):
        raise UntrustedFile(
            f"it does not hold the {expected.rows:,} lines that were written; clear the task that wrote it", blob=name
        )


def _parsed(line: bytes, parse: Callable[[Any], Any], name: str, number: int) -> Any:
    if len(line) > MAX_LINE:
        raise _bad_line(name, number, f"it is longer than {MAX_LINE:,} bytes")
    try:
        return parse(json.loads(line))
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError as error:
        problem = str(error)
    raise _bad_line(name, number, problem)


def _bad_line(name: str, number: int, problem: str) -> UntrustedFile:
    return UntrustedFile(f"line {number:,} cannot be one that was written: {problem}", blob=name)


def _pieces(
    client: ContainerClient,
    name: str,
    start: int,
    stop: int | None,
    *,
    etag: str | None = None,
    missing_ok: bool = False,
    size: int | None = None,
) -> Iterator[bytes]:
    size = size or PIECE_SIZE
    pinned: dict[str, Any] = {} if etag is None else _as_options(Precondition(etag))
    while stop is None or start < stop:
        length = size if stop is None else min(size, stop - start)
        try:
            # Not decompressed: 200 kB that name a Content-Encoding can become 500 MiB.
            download = client.download_blob(name, offset=start, length=length, decompress=False, **pinned)
            piece = bytes(download.readall())
        except ResourceNotFoundError:
            if missing_ok:
                return
            raise DestinationWriteError("it is gone; clear the plan task to make a new one", blob=name) from None
        except AzureError as error:
            if getattr(error, "error_code", None) == "ConditionNotMet":
                raise UntrustedFile(
                    "someone else wrote to it since it was written; clear the task that wrote it", blob=name
                ) from None
            if getattr(error, "status_code", None) == 416 and stop is None:
                return  # nothing begins here: the blob ends where a piece ended, or is empty
            raise DestinationWriteError(f"it could not be read: {describe_response(error)}", blob=name) from None
        yield piece
        start += len(piece)
        if len(piece) == length:
            continue
        if stop is not None:
            raise DestinationWriteError(
                f"it ends at byte {start:,}, before byte {stop:,}; clear the plan task to make a new one", blob=name
            )
        return
