"""JSON lines in a container, written and read as streams: a few MiB are held, however many lines there are."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, ContentSettings

from airflow_s3_azure.engine.azure.sdk_errors import describe_response, translate
from airflow_s3_azure.engine.azure.service_errors import BlockListRejected, PreconditionFailed
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationWriteError
from airflow_s3_azure.engine.model import Precondition
from airflow_s3_azure.engine.retry import RetryPolicy

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

BLOCK_SIZE = 4 * MIB
"""Bytes that a writer holds before it stages them; 50,000 such blocks are 195 GiB of lines."""
PIECE_SIZE = 256 * 1024
"""Bytes that a reader holds; a sort reads dozens of files side by side."""

Row = Mapping[str, Any] | Sequence[Any]

_WRITER = "writer"
"""Metadata by which a writer recognizes its own commit whose response was lost."""
_ONCE = RetryPolicy(attempts=1, throttled_attempts=1)

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
        self._blob = client.get_blob_client(name)
        self._name = name
        self._precondition = precondition
        self._retry = retry or RetryPolicy()
        self._cancellation = cancellation or Cancellation()
        self._own = secrets.token_hex(8)
        self._blocks: list[BlobBlock] = []
        self._held = bytearray()
        self._is_committed = False
        self.position = 0
        """Bytes written so far: where the next line begins."""

    def write(self, row: Row) -> None:
        """Add a line."""
        line = _as_json(row).encode()
        self._held += line
        self._held += b"\n"
        self.position += len(line) + 1
        if len(self._held) >= BLOCK_SIZE:
            self._stage()

    def commit(self, *, seconds: int | None = None) -> None:
        """Make all lines written so far the blob's content.

        :param seconds: send each request once, and give up after this long without a response
        :raises TransferError: if Azure could not be written to, or another writer committed in between
        """
        if not self._held and self._is_committed:
            return
        if self._held:
            self._stage(seconds)
        try:
            self._commit(seconds)
        except (PreconditionFailed, BlockListRejected):
            # A response was lost, and the conflicting commit is this writer's own: then the blocks are as they were.
            self._precondition = Precondition(self._own_etag(seconds))
            self._commit(seconds)
        self._is_committed = True

    def _commit(self, seconds: int | None) -> None:
        response = self._send(
            seconds,
            self._blob.commit_block_list,
            self._blocks,
            content_settings=ContentSettings(content_type="application/x-ndjson"),
            metadata={_WRITER: self._own},
            **_as_options(self._precondition),
        )
        if self._precondition is not None:
            self._precondition = Precondition(str(response["etag"]))

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
    client: ContainerClient, name: str, start: int = 0, stop: int | None = None, *, missing_ok: bool = False
) -> Iterator[Any]:
    """Yield the rows of a blob, or of a part of it that begins and ends at ends of lines.

    :param start: byte at which the first line begins
    :param stop: byte after the last line; None: to the blob's end
    :param missing_ok: yield nothing if there is no such blob
    :raises DestinationWriteError: if it is gone or cannot be read
    """
    rest = b""
    for piece in _pieces(client, name, start, stop, missing_ok=missing_ok):
        *whole, rest = (rest + piece).split(b"\n")
        yield from map(json.loads, whole)


def _pieces(client: ContainerClient, name: str, start: int, stop: int | None, *, missing_ok: bool) -> Iterator[bytes]:
    while stop is None or start < stop:
        length = PIECE_SIZE if stop is None else min(PIECE_SIZE, stop - start)
        try:
            piece = bytes(client.download_blob(name, offset=start, length=length).readall())
        except ResourceNotFoundError:
            if missing_ok:
                return
            raise DestinationWriteError("it is gone; clear the plan task to make it anew", blob=name) from None
        except AzureError as error:
            if getattr(error, "status_code", None) == 416 and stop is None:
                return  # nothing begins here: the blob ends where a piece ended, or is empty
            raise DestinationWriteError(f"it could not be read: {describe_response(error)}", blob=name) from None
        yield piece
        start += len(piece)
        if len(piece) == length:
            continue
        if stop is not None:
            raise DestinationWriteError(
                f"it ends at byte {start:,}, before byte {stop:,}; clear the plan task to make it anew", blob=name
            )
        return
