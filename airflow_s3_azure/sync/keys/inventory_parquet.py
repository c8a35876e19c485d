"""Reads the rows of an inventory's Parquet file with pyarrow, which is an extra of this package.

pyarrow reads ranges of the file, and a row group at a time: so memory depends on the row groups, which have some 10 MB in
S3's own inventories, and have a limit here.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.errors import ConfigurationError, PlanError
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.sync.keys.inventory_rows import InventoryRow, entry_of_row
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.stored_files import StoredFile

MAX_ROW_GROUP = 1024 * MIB
"""Bytes of a row group, uncompressed, by the file's own footer."""
_ROWS = 8_192
"""Rows that are made of a row group at a time."""
_COLUMNS = ("bucket", "key", "is_latest", "is_delete_marker", "size", "last_modified_date", "e_tag", "storage_class")


def read_parquet(file: StoredFile, size: int, bucket: str) -> Iterator[KeyEntry]:
    """Yield the current objects of a file.

    :param size: of the file, in bytes
    :param bucket: that each row must name
    :raises ConfigurationError: if pyarrow is not installed
    :raises PlanError: naming the first row that is not valid
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError(
            f"the inventory file {file.url!r} is Parquet, which needs pyarrow: install airflow-s3-azure[parquet], or configure "
            "the inventory for CSV"
        ) from None
    done = 0
    try:
        opened = parquet.ParquetFile(io.BufferedReader(_Ranges(file, size), 256 * 1024), pre_buffer=False)
        largest = max((opened.metadata.row_group(n).total_byte_size for n in range(opened.num_row_groups)), default=0)
        if largest > MAX_ROW_GROUP:
            raise ValueError(f"it has a row group of {largest:,} bytes, and {MAX_ROW_GROUP:,} is the limit")
        columns = [name for name in _COLUMNS if name in opened.schema_arrow.names]
        for batch in opened.iter_batches(batch_size=_ROWS, columns=columns, use_threads=False):
            rows = batch.to_pydict()
            empty = [None] * batch.num_rows
            for values in zip(*(rows.get(name, empty) for name in _COLUMNS), strict=True):
                done += 1
                if (entry := entry_of_row(_row(*values), bucket)) is not None:
                    yield entry
    except (pa.ArrowException, ValueError, OSError) as error:
        problem = quote_text(str(error), 200)
        raise PlanError(
            f"row {done:,} of the inventory file {file.url!r} is not valid: {problem}; nothing was copied"
        ) from None


def _row(*values: Any) -> InventoryRow:
    bucket, key, latest, deleted, size, modified, etag, storage_class = values
    if isinstance(modified, datetime) and modified.tzinfo is None:  # Parquet has no zone; S3's times are in UTC
        modified = modified.replace(tzinfo=UTC)
    return InventoryRow(bucket, key, latest, deleted, size, modified, etag or None, storage_class or None)


class _Ranges(io.RawIOBase):
    """A file, read by ranges."""

    def __init__(self, file: StoredFile, size: int) -> None:
        super().__init__()
        self._file = file
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        with memoryview(buffer).cast("B") as view:
            stop = min(self._position + len(view), self._size)
            if stop <= self._position:
                return 0
            piece = self._file.read(self._position, stop)
            view[: len(piece)] = piece
            self._position += len(piece)
            return len(piece)
