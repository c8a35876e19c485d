"""Reads the rows of an inventory's CSV file: compressed, without a header, with encoded keys. Pure."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from urllib.parse import unquote_plus

from airflow_s3_azure.sync.gunzip import MalformedGzip, gunzip
from airflow_s3_azure.sync.keys.inventory_rows import InventoryRow, entry_of_row
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.key_lines import MAX_LINE, LineTooLong, bad_list, lines_of

_LINES = 1_000
"""Lines that are parsed at a time."""
_COLUMNS = ("Bucket", "Key", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate", "ETag", "StorageClass")


def read_csv(pieces: Iterable[bytes], url: str, columns: Sequence[str], bucket: str) -> Iterator[KeyEntry]:
    """Yield the current objects of a file.

    :param url: of the file, for errors
    :param columns: of the file, by the manifest
    :param bucket: that each row must name
    :raises PlanError: naming the first line that is not valid
    """
    row_of = _row_reader(columns)
    lines = lines_of(gunzip(pieces))
    number = 1
    try:
        while window := list(islice(lines, _LINES)):
            for values in _parsed(window):
                if len(values) != len(columns):
                    raise ValueError(f"it has {len(values)} values, and the manifest {len(columns)} columns")
                if (entry := entry_of_row(row_of(values), bucket)) is not None:
                    yield entry
                number += 1
    except MalformedGzip as error:
        raise bad_list(url, number, str(error)) from None
    except LineTooLong:
        raise bad_list(url, number, f"it, or one of the next {_LINES:,}, is longer than {MAX_LINE:,} bytes") from None
    except (ValueError, csv.Error) as error:
        raise bad_list(url, number, str(error)) from None


def _parsed(lines: list[bytes]) -> Iterator[list[str]]:
    """Yield the values of each line.

    :raises ValueError: if a quote does not end on its line
    """
    reader = csv.reader((line.decode() for line in lines), strict=True)
    for number, values in enumerate(reader, start=1):
        if reader.line_num != number:
            raise ValueError("a quoted value does not end on its line")
        yield values


def _row_reader(columns: Sequence[str]) -> Callable[[list[str]], InventoryRow]:
    """Return a function that picks the values of a row that are used; an empty value is None."""
    places = [columns.index(name) if name in columns else -1 for name in _COLUMNS]

    def read(values: list[str]) -> InventoryRow:
        bucket, key, latest, deleted, size, modified, etag, storage_class = (
            None if place < 0 else values[place] or None for place in places
        )
        if key is not None and ("%" in key or "+" in key):
            key = unquote_plus(key, errors="strict")
        return InventoryRow(bucket, key, latest, deleted, size, modified, etag, storage_class)

    return read
