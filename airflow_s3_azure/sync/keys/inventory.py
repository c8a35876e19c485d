"""Reads an S3 Inventory: a ``manifest.json``, and the CSV or Parquet files that it names.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html. The bucket of the inventory is untrusted: the
manifest may name only files beside it, and each file must have the size and the MD5 of the manifest. The comparison ends
with the last byte of a file, so entries are used before; but the plan fails then, and nothing is copied.

Of a bucket with versions the current versions are read. They are not pinned, because an inventory is a day old or older: what is
copied is the object as it is now.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.stored_files import StoredFile

MANIFEST = "manifest.json"
"""The name of the list of an inventory's files."""
MAX_MANIFEST = 64 * MIB
"""Bytes in a manifest: some 300,000 files."""
_MD5 = re.compile("[0-9a-f]{32}")
_TIME = re.compile("[0-9]{1,14}")


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """A file of an inventory.

    :param size: bytes
    :param md5: of its content, in hexadecimal
    """

    key: str
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The content of a manifest.

    :param bucket: whose objects are listed
    :param created_at: when the inventory began to be made
    :param columns: of the CSV files; empty for Parquet
    """

    bucket: str
    created_at: datetime
    file_format: Literal["CSV", "Parquet"]
    columns: tuple[str, ...]
    files: tuple[InventoryFile, ...]

    def entries(self, open_file: Callable[[str], StoredFile]) -> Iterator[KeyEntry]:
        """Yield the current objects, file by file, in no order.

        :param open_file: opens a file of the inventory's bucket
        :raises PlanError: naming the first file and row that is not valid
        """
        for one in self.files:
            file = open_file(one.key)
            if self.file_format == "CSV":
                from airflow_s3_azure.sync.keys.inventory_csv import read_csv

                yield from read_csv(verified(file, one), file.url, self.columns, self.bucket)
            else:
                from airflow_s3_azure.sync.keys.inventory_parquet import read_parquet

                for _ in verified(file, one):
                    pass
                yield from read_parquet(file, one.size, self.bucket)


class Fail(Protocol):
    """Makes the error of a manifest."""

    def __call__(self, problem: str) -> PlanError:
        """Return the error."""


def read_inventory(file: StoredFile, bucket: str, its_bucket: str) -> Inventory:
    """Return the content of a manifest.

    :param bucket: of the sync, or the ARN of an access point
    :param its_bucket: the bucket of the manifest
    :raises PlanError: if it is not valid, or of another bucket
    """

    def fail(problem: str) -> PlanError:
        return PlanError(f"the inventory {file.url!r} is not valid: {problem}; nothing was copied")

    found = _document(file, fail)
    source = _text(found, "sourceBucket", fail)
    if source != bucket and not bucket.startswith("arn:"):
        raise fail(f"it lists bucket {source!r}, and s3_bucket is {bucket!r}")
    destination = _text(found, "destinationBucket", fail).rpartition(":")[2]
    if destination != its_bucket:
        raise fail(
            f"its files are in bucket {destination!r}, and it is in {its_bucket!r}; give the URL of the original"
        )
    file_format = _text(found, "fileFormat", fail)
    if file_format not in ("CSV", "Parquet"):
        raise fail(f"its files are {file_format!r}; configure the inventory for CSV or Parquet")
    created = _text(found, "creationTimestamp", fail)
    if not _TIME.fullmatch(created):
        raise fail(f"creationTimestamp is {created!r}; it takes milliseconds since 1970")
    schema = _text(found, "fileSchema", fail)
    columns = tuple(one.strip() for one in schema.split(",")) if file_format == "CSV" else ()
    if file_format == "CSV" and not {"Bucket", "Key"} <= set(columns):
        raise fail(f"its columns are {quote_text(schema, 200)!r}, without Bucket and Key")
    return Inventory(
        source,
        datetime.fromtimestamp(int(created) / 1000, UTC),
        "CSV" if file_format == "CSV" else "Parquet",
        columns,
        tuple(_files(found.get("files"), file.name, fail)),
    )


def verified(file: StoredFile, expected: InventoryFile) -> Iterator[bytes]:
    """Yield the content of a file.

    :raises PlanError: after the last byte, if its size or its MD5 is another one; earlier, if it is too long
    """
    digest, size = hashlib.md5(usedforsecurity=False), 0
    for piece in file.pieces():
        size += len(piece)
        if size > expected.size:
            break
        digest.update(piece)
        yield piece
    if (size, digest.hexdigest()) != (expected.size, expected.md5):
        raise PlanError(
            f"the inventory file {file.url!r} is not the one that its manifest names: it has at least {size:,} bytes with MD5 "
            f"{digest.hexdigest()}, and the manifest has {expected.size:,} bytes with MD5 {expected.md5}; nothing was copied"
        )


def _document(file: StoredFile, fail: Fail) -> dict[str, Any]:
    data = bytearray()
    for piece in file.pieces():
        data += piece
        if len(data) > MAX_MANIFEST:
            raise fail(f"it has more than {MAX_MANIFEST:,} bytes")
    try:
        found = json.loads(data)
    except (RecursionError, ValueError) as error:
        raise fail(f"it is no JSON document ({type(error).__name__})") from None
    if type(found) is not dict:
        raise fail(f"it is a {type(found).__name__}, not an object")
    return found


def _text(found: dict[str, Any], name: str, fail: Fail) -> str:
    value = found.get(name)
    if type(value) is not str or not value:
        raise fail(f"{name} is {quote_text(repr(value), 80)}; it takes text")
    return value


def _files(value: Any, name: str, fail: Fail) -> Iterator[InventoryFile]:
    """Yield the files of a manifest.

    :param name: the manifest's key, ``<configuration>/<date>/manifest.json``; its files are below ``<configuration>/``
    """
    folder = name.rpartition("/")[0].rpartition("/")[0]
    folder += "/" * bool(folder)
    if type(value) is not list:
        raise fail(f"files is {quote_text(repr(value), 80)}; it takes a list")
    for number, one in enumerate(value):
        key, size, md5 = (one.get(part) if type(one) is dict else None for part in ("key", "size", "MD5checksum"))
        if type(key) is not str or type(size) is not int or size < 0 or type(md5) is not str or not _MD5.fullmatch(md5):
            raise fail(f"file {number:,} is {quote_text(repr(one), 200)}; it takes key, size and MD5checksum")
        if not key.startswith(folder):
            raise fail(
                f"file {number:,} is {quote_text(key, 200)!r}, which is not below {folder!r}, where the inventory is"
            )
        yield InventoryFile(key, size, md5)
