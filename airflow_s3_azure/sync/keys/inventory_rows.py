"""From a row of an inventory to an entry of a list of keys. Pure."""

from __future__ import annotations

import re
import sys
from datetime import datetime
from typing import NamedTuple

from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.sync.keys.key_entry import KeyEntry, checked_etag, checked_key, checked_size

_CLASS = re.compile("[A-Z_]{1,40}")
_FLAGS = {None: None, True: True, False: False, "true": True, "false": False}


class InventoryRow(NamedTuple):
    """The values of a row that are used; None: the inventory does not have them."""

    bucket: str | None
    key: str | None
    is_latest: str | bool | None
    is_delete_marker: str | bool | None
    size: str | int | None
    last_modified: str | datetime | None
    etag: str | None
    storage_class: str | None


def entry_of_row(row: InventoryRow, bucket: str) -> KeyEntry | None:
    """Return the entry of a row; None for a delete marker, and for a version that is not the current one.

    :param bucket: that the row must name
    :raises ValueError: if it is not a row of this inventory
    """
    if row.bucket != bucket:
        raise ValueError(f"it is of bucket {quote_text(str(row.bucket), 80)!r}, and the inventory is of {bucket!r}")
    if row.is_latest not in _FLAGS or row.is_delete_marker not in _FLAGS:
        raise ValueError("IsLatest or IsDeleteMarker is neither true nor false")
    if _FLAGS[row.is_latest] is False or _FLAGS[row.is_delete_marker]:
        return None
    if row.storage_class is not None and not _CLASS.fullmatch(row.storage_class):
        raise ValueError(f"StorageClass is {quote_text(row.storage_class, 80)!r}")
    return KeyEntry(
        checked_key(row.key),
        None,
        None if row.size is None else checked_size(row.size),
        None if row.etag is None else checked_etag(row.etag),
        None if row.last_modified is None else _time(row.last_modified),
        None if row.storage_class is None else sys.intern(row.storage_class),
    )


def _time(value: str | datetime) -> datetime:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"LastModifiedDate is {quote_text(str(value), 80)!r}; it takes a time with a zone")
    return found
