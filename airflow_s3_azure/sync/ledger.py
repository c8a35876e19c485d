"""The manifest and the ledger: JSON lines in the destination container, one line per key.

A plan has a folder of its own::

    _s3_to_azure/<dag_id>/<run_id>/<group_id>/<time of the plan>/
        manifest/00000.jsonl    what batch 0 is to copy
        ledger/plan.jsonl       keys that the plan settled: unchanged, skipped
        ledger/00000.jsonl      what became of batch 0's keys
        summary.json            the run's totals

so a plan that is made again never mixes with an earlier one. ``_`` in front makes Spark and Hive skip the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import ContentSettings

from airflow_s3_azure.stream.errors import DestinationWriteError
from airflow_s3_azure.stream.http import describe
from airflow_s3_azure.stream.objects import CopyRequest, Precondition

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

ROOT = "_s3_to_azure"
PIECE = 256 * 1024
"""Bytes handed to the SDK at once. It appends each piece to a copy of what it has, so single lines would cost their
number's square: a third of the CPU of a batch of 20,000 objects."""

JsonObject = Mapping[str, Any]


class PlanFolder:
    """One plan's folder in a container.

    :param client: of the container
    :param path: the folder's name, without a slash at the end
    """

    def __init__(self, client: ContainerClient, path: str) -> None:
        self._client = client
        self.path = path

    @property
    def url(self) -> str:
        """The folder's URL, without any credential."""
        return f"{self._client.url.partition('?')[0]}/{self.path}/"

    def write_manifest(self, index: int, requests: Iterable[CopyRequest]) -> str:
        """Write what a batch is to copy; return the manifest's blob name."""
        name = f"{self.path}/manifest/{index:05d}.jsonl"
        _write(self._client, name, _lines(map(_request_as_json, requests)))
        return name

    def read_manifest(self, index: int) -> Iterator[CopyRequest]:
        """Yield what a batch is to copy."""
        return map(_request_from_json, _read(self._client, f"{self.path}/manifest/{index:05d}.jsonl"))

    def write_ledger(self, part: str, rows: Iterable[JsonObject], *, seconds: int | None = None) -> None:
        """Write one part of the ledger (``plan``, or a batch's five digits), replacing the part if it is there.

        :param seconds: try once, and give up when nobody answers for this long
        """
        _write(self._client, f"{self.path}/ledger/{part}.jsonl", _lines(rows), seconds=seconds)

    def read_ledger(self, part: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of one part of the ledger; none if it was never written."""
        return _read(self._client, f"{self.path}/ledger/{part}.jsonl", missing_ok=True)

    def read_whole_ledger(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of every part of the ledger, part after part."""
        for blob in self._client.list_blobs(name_starts_with=f"{self.path}/ledger/"):
            yield from _read(self._client, blob.name)

    def write_summary(self, summary: JsonObject) -> None:
        """Write the run's totals."""
        _write(self._client, f"{self.path}/summary.json", iter([json.dumps(summary, indent=2).encode()]))


def _request_as_json(request: CopyRequest) -> JsonObject:
    condition = request.precondition
    return {
        "key": request.key,
        "blob": request.blob,
        "size": request.size,
        "etag": request.etag,
        "version_id": request.version_id,
        "blob_etag": condition.etag if condition else None,
    }


def _request_from_json(row: JsonObject) -> CopyRequest:
    return CopyRequest(
        key=row["key"],
        blob=row["blob"],
        size=row["size"],
        etag=row["etag"],
        version_id=row["version_id"],
        precondition=Precondition(row["blob_etag"]),
    )


def _lines(rows: Iterable[JsonObject]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines put together to pieces of about 256 KiB."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _write(client: ContainerClient, name: str, lines: Iterator[bytes], *, seconds: int | None = None) -> None:
    """Write a blob of unknown length; the SDK holds 4 MiB of it at a time."""
    once: dict[str, Any] = (
        {} if seconds is None else {"retry_total": 0, "connection_timeout": seconds, "read_timeout": seconds}
    )
    content = ContentSettings(content_type="application/x-ndjson")
    try:
        client.upload_blob(name, _pieces(lines), overwrite=True, content_settings=content, **once)
    except AzureError as error:
        raise DestinationWriteError(
            f"{name.rpartition('/')[2]} could not be written: {describe(error)}", blob=name
        ) from None


def _read(client: ContainerClient, name: str, *, missing_ok: bool = False) -> Iterator[dict[str, Any]]:
    try:
        download = client.download_blob(name)
    except ResourceNotFoundError:
        if missing_ok:
            return
        raise DestinationWriteError("it is gone; clear the plan task to make it anew", blob=name) from None
    except AzureError as error:
        raise _unreadable(name, error) from None
    rest = b""
    pieces = iter(download.chunks())
    while True:
        try:
            piece = next(pieces, None)
        except AzureError as error:
            raise _unreadable(name, error) from None
        if piece is None:
            return
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield json.loads(line)


def _unreadable(name: str, error: AzureError) -> DestinationWriteError:
    return DestinationWriteError(f"it could not be read: {describe(error)}", blob=name)
