"""An entry of a list of keys, and how it is read. Lists are untrusted: each value is checked. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_s3_azure.engine.blocks import MAX_BLOB_SIZE
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.s3.identifiers import read_etag, read_version

_SIZE = re.compile("[0-9]{1,18}")
MAX_KEY = 1024
"""Bytes in a key, by the rules of S3."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """What a list says of one key.

    :param version_id: the version to copy; None: the current one
    :param size: bytes; None: the list does not say
    :param etag: without quotes
    """

    key: str
    version_id: str | None = None
    size: int | None = None
    etag: str | None = None
    last_modified: datetime | None = None
    storage_class: str | None = None


def entry_of(value: Any) -> KeyEntry:
    """Return an entry: a key, or a mapping with ``key`` and perhaps ``version``, ``size``, ``etag``. None is no value.

    :raises ValueError: saying what was found and what is expected
    """
    if isinstance(value, str):
        return KeyEntry(checked_key(value))
    if not isinstance(value, Mapping):
        raise ValueError(  # noqa: TRY004 - readers add the line to a ValueError
            f"it is a {type(value).__name__}; it takes a key, or an object with a key"
        )
    if unknown := value.keys() - _READERS.keys():
        name = quote_text(str(min(map(str, unknown))), 60)
        raise ValueError(f"it has {name!r}; it takes {', '.join(_READERS)}")
    if value.get("key") is None:
        raise ValueError("it has no key")
    found = {name: read(value[name]) for name, (_, read) in _READERS.items() if value.get(name) is not None}
    return KeyEntry(**{_READERS[name][0]: one for name, one in found.items()})


def checked_key(value: Any) -> str:
    """Return a key.

    :raises ValueError: if S3 has none of this name
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"the key is {_shown(value)}; it takes text, not empty")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("the key is not UTF-8") from None
    if size > MAX_KEY:
        raise ValueError(f"the key has {size:,} bytes of UTF-8; S3 takes at most {MAX_KEY:,}")
    if "\0" in value:
        raise ValueError(f"the key {_shown(value)} has a NUL character")
    return value


def checked_version(value: Any) -> str:
    """Return a version ID.

    :raises ValueError: if it is none
    """
    found = read_version(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"the version is {_shown(value)}; it takes a version ID of S3, or nothing for the current one")
    return found


def checked_size(value: Any) -> int:
    """Return a size in bytes.

    :raises ValueError: if it is none, or larger than a blob
    """
    number = int(value) if isinstance(value, str) and _SIZE.fullmatch(value) else value
    if type(number) is not int or not 0 <= number <= MAX_BLOB_SIZE:
        raise ValueError(f"the size is {_shown(value)}; it takes a number of bytes, at most {MAX_BLOB_SIZE:,}")
    return number


def checked_etag(value: Any) -> str:
    """Return an ETag, without quotes.

    :raises ValueError: if it does not identify a version
    """
    found = read_etag(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"the etag is {_shown(value)}; it takes a strong ETag, with or without quotes")
    return found


def _shown(value: Any) -> str:
    return repr(quote_text(value, 80)) if isinstance(value, str) else quote_text(repr(value), 80)


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "key": ("key", checked_key),
    "version": ("version_id", checked_version),
    "size": ("size", checked_size),
    "etag": ("etag", checked_etag),
}
"""The fields of an entry by their names in a list, in the order in which errors name them."""
FIELDS = tuple(_READERS)
"""The names of the fields of an entry in a list."""
