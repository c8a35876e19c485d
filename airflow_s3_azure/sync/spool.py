"""Files of a plan's folder that hold sorted segments of a listing until they are merged.

The container is untrusted between the write and the read: anyone who may write to it could replace a segment, and so
hide keys from the plan. A spool therefore keeps the fingerprint of each segment in memory, and reads only the version
of the blob that it wrote. The names have a random part, so two passes over one listing never share a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError

from airflow_s3_azure.engine.azure.sdk_errors import sdk_request
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.model import BlobState, Precondition
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.lines_reader import read_lines
from airflow_s3_azure.sync.lines_writer import LinesWriter
from airflow_s3_azure.sync.listed_object import ListedKey, ListedObject

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


class Segments:
    """Writes segments of rows, reads back what it wrote, and deletes them."""

    def __init__(self, client: ContainerClient, path: str, cancellation: Cancellation | None) -> None:
        self._client = client
        self._cancellation = cancellation
        self._path = path
        self._written: dict[int, Fingerprint] = {}

    def drop(self, segment: int) -> None:
        """Delete a segment, or leave it where the connection may not delete."""
        with suppress(AzureError), sdk_request():
            self._client.delete_blob(self._name(segment))

    def _name(self, segment: int) -> str:
        return f"{self._path}-{segment:05d}.jsonl"

    def write_rows(self, segment: int, rows: Iterable[list[Any]]) -> None:
        """Write a segment."""
        writer = LinesWriter(self._client, self._name(segment), Precondition(None), cancellation=self._cancellation)
        for row in rows:
            writer.write(row)
        writer.commit()
        self._written[segment] = writer.fingerprint()

    def read_rows(self, segment: int) -> Iterator[Any]:
        """Yield the rows of a segment."""
        return read_lines(self._client, self._name(segment), expected=self._written[segment])


class ObjectSpool(Segments):
    """Sorted segments of names with their objects."""

    def write(self, segment: int, entries: Iterable[tuple[str, ListedObject]]) -> None:
        """Write a segment."""
        self.write_rows(
            segment,
            (
                [
                    name,
                    one.key,
                    one.size,
                    one.etag,
                    _time_text(one.last_modified),
                    one.storage_class,
                    one.restore,
                    *_of_list(one),
                ]
                for name, one in entries
            ),
        )

    def read(self, segment: int) -> Iterator[tuple[str, ListedObject]]:
        """Yield the entries of a segment."""
        for name, key, size, etag, modified, *rest in self.read_rows(segment):
            kind = ListedObject if len(rest) == 2 else ListedKey
            yield name, kind(key, size, etag, _time(modified), *rest)


class EntrySpool(Segments):
    """Sorted segments of the entries of key lists, by key."""

    def write(self, segment: int, entries: Iterable[tuple[str, KeyEntry]]) -> None:
        """Write a segment."""
        self.write_rows(
            segment,
            (
                [key, one.version_id, one.size, one.etag, _time_text(one.last_modified), one.storage_class]
                for key, one in entries
            ),
        )

    def read(self, segment: int) -> Iterator[tuple[str, KeyEntry]]:
        """Yield the entries of a segment."""
        for key, version, size, etag, modified, storage_class in self.read_rows(segment):
            yield key, KeyEntry(key, version, size, etag, _time(modified), storage_class)


class BlobSpool(Segments):
    """Sorted segments of blob names with what a plan needs to know of the blobs."""

    def write(self, segment: int, entries: Iterable[tuple[str, BlobState]]) -> None:
        """Write a segment."""
        self.write_rows(
            segment,
            (
                [
                    name,
                    blob.etag,
                    blob.size,
                    _time_text(blob.last_modified),
                    _record_as_row(blob.record),
                    blob.conflict,
                ]
                for name, blob in entries
            ),
        )

    def read(self, segment: int) -> Iterator[tuple[str, BlobState]]:
        """Yield the entries of a segment."""
        for name, etag, size, modified, record, conflict in self.read_rows(segment):
            yield (
                name,
                BlobState(
                    etag,
                    size,
                    _time(modified),
                    None if record is None else SourceRecord(etag=record[0], size=record[1], **record[2]),
                    conflict,
                ),
            )


def _of_list(one: ListedObject) -> list[str | None]:
    """Return what only an object of a key list has."""
    return [one.version_id, one.state] if isinstance(one, ListedKey) else []


def _time_text(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _record_as_row(record: SourceRecord | None) -> list[Any] | None:
    """Return what is compared of a record."""
    if record is None:
        return None
    rest = {
        "version_id": record.version_id,
        "identity": record.identity,
        "checksum": record.checksum,
        "crc64nvme": record.crc64nvme,
    }
    return [record.etag, record.size, {name: value for name, value in rest.items() if value is not None}]
