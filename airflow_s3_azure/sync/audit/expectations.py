"""What a ledger says of each blob: the newest row that decides it. Rows come from the untrusted container."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from airflow_s3_azure.engine.model import BlobState, CopyRequest
from airflow_s3_azure.engine.quoting import MAX_TEXT, printable
from airflow_s3_azure.sync.spool import Segments


@dataclass(frozen=True, slots=True)
class Expected:
    """What is recorded of a blob.

    :param status: of the ledger's row; None: from the blob's own record
    :param key: S3 key
    :param size: bytes
    :param etag: of the S3 object, without quotes
    :param blob_etag: of the blob, with its quotes
    :param crc64nvme: of the content, base64 as S3 writes it
    :param error: why the ledger does not say what the blob holds
    """

    status: str | None
    key: str | None
    size: int | None
    etag: str | None
    version_id: str | None
    blob_etag: str | None
    crc64nvme: str | None
    error: str | None = None

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Expected:
        """Return what a row of a sync's ledger says."""
        return cls(
            row["status"],
            row["key"],
            row["size"],
            row["etag"],
            row["version_id"],
            row["blob_etag"],
            row.get("crc64nvme"),
            None if row["error"] is None else printable(f"the sync did not copy it: {row['error']}", MAX_TEXT),
        )

    @classmethod
    def without_row(cls, request: CopyRequest) -> Expected:
        """Return what is known of a key whose batch did not finish: another row of the same blob counts before it."""
        problem = "its batch did not finish, so the ledger does not say what its blob holds"
        return cls("failed", request.key, None, None, None, None, None, problem)

    @classmethod
    def of_record(cls, blob: BlobState) -> Expected | None:
        """Return what a blob's record says; None if it has none."""
        record = blob.record
        if record is None:
            return None
        return cls(None, None, record.size, record.etag, record.version_id, None, record.crc64nvme)

    def as_row(self) -> list[Any]:
        """Return it as a segment of a sort holds it."""
        return [
            *(self.status, self.key, self.size, self.etag, self.version_id),
            *(self.blob_etag, self.crc64nvme, self.error),
        ]


class ExpectationSpool(Segments):
    """Sorted segments of blob names with what is recorded of the blobs."""

    def write(self, segment: int, entries: Iterable[tuple[str, Expected]]) -> None:
        """Write a segment."""
        self.write_rows(segment, ([name, *expected.as_row()] for name, expected in entries))

    def read(self, segment: int) -> Iterator[tuple[str, Expected]]:
        """Yield the entries of a segment."""
        for name, *fields in self.read_rows(segment):
            yield name, Expected(*fields)


def decisive_rows(rows: Iterable[tuple[str, Expected]]) -> Iterator[tuple[str, Expected]]:
    """Yield what decides each blob: its newest ``copied`` or ``unchanged`` row, else a ``failed`` one.

    A blob that was deleted after its last copy, and one of which every row is ``skipped``, is not expected.

    :param rows: by blob name; those of one name from the oldest to the newest
    """
    for name, group in groupby(rows, key=itemgetter(0)):
        decisive: Expected | None = None
        for _, row in group:
            if row.status in ("copied", "unchanged"):
                decisive = row
            elif row.status == "deleted":
                decisive = None
            elif row.status == "failed" and row.key is not None and decisive is None:
                decisive = row
        if decisive is not None:
            yield name, decisive
