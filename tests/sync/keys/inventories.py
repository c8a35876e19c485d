"""Inventories as S3 writes them, for tests."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

FOLDER = "inventories/acme-exports/all"
MANIFEST = f"{FOLDER}/2026-11-22T01-00Z/manifest.json"
CREATED = datetime(2026, 11, 22, 1, tzinfo=UTC)
CSV_COLUMNS = (
    "Bucket",
    "Key",
    "VersionId",
    "IsLatest",
    "IsDeleteMarker",
    "Size",
    "LastModifiedDate",
    "ETag",
    "StorageClass",
)


@dataclass
class MemoryFile:
    """A stored file in memory."""

    name: str
    data: bytes
    url: str = ""
    reads: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = f"s3://inventories/{self.name}"

    def pieces(self) -> Iterator[bytes]:
        """Yield the content in small pieces."""
        return (self.data[start : start + 1000] for start in range(0, len(self.data), 1000))

    def read(self, start: int, stop: int) -> bytes:
        """Return a range."""
        self.reads.append((start, stop))
        return self.data[start:stop]


def csv_file(rows: Sequence[Sequence[str]]) -> bytes:
    """Return a CSV file: compressed, every value in quotes, without a header; keys in the second column are encoded."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([[row[0], quote_plus(row[1], safe="/"), *row[2:]] for row in rows])
    return gzip.compress(text.getvalue().encode())


def row(bucket: str, key: str, size: int, etag: str, **changes: str) -> list[str]:
    """Return a row of :data:`CSV_COLUMNS`."""
    values = {
        "Bucket": bucket,
        "Key": key,
        "VersionId": "",
        "IsLatest": "true",
        "IsDeleteMarker": "false",
        "Size": str(size),
        "LastModifiedDate": "2026-11-20T10:11:12.000Z",
        "ETag": etag,
        "StorageClass": "STANDARD",
    }
    return list((values | changes).values())


def manifest(bucket: str, its_bucket: str, files: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
    """Return the manifest of files."""
    return {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{its_bucket}",
        "version": "2016-11-30",
        "creationTimestamp": str(round(CREATED.timestamp() * 1000)),
        "fileFormat": "CSV",
        "fileSchema": ", ".join(CSV_COLUMNS),
        "files": [
            {"key": key, "size": len(data), "MD5checksum": hashlib.md5(data).hexdigest()} for key, data in files.items()
        ],
        **changes,
    }


def manifest_file(content: Any) -> MemoryFile:
    """Return the file of a manifest."""
    return MemoryFile(MANIFEST, content if isinstance(content, bytes) else json.dumps(content).encode())
