"""What an entry of a list of keys may be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_s3_azure.sync.keys.key_entry import KeyEntry, entry_of


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("a/b", KeyEntry("a/b")),
        ({"key": "a", "version": None, "size": "", "etag": None}, None),
        ({"key": "a", "version": "null"}, KeyEntry("a", "null")),
        ({"key": "a", "size": 5, "etag": '"e-2"'}, KeyEntry("a", size=5, etag="e-2")),
        ({"key": "a", "size": "05", "etag": "e"}, KeyEntry("a", size=5, etag="e")),
        ("é" * 512, KeyEntry("é" * 512)),
        ("../x\n", KeyEntry("../x\n")),
    ],
)
def test_an_entry_is_a_key_or_an_object(value: Any, entry: KeyEntry | None) -> None:
    """Sizes may be text, and ETags quoted; an empty size is none."""
    if entry is None:
        with pytest.raises(ValueError, match="the size is ''"):
            entry_of(value)
    else:
        assert entry_of(value) == entry


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "the key is ''; it takes text, not empty"),
        (5, "it is a int; it takes a key, or an object with a key"),
        (["a"], "it is a list"),
        ({"size": 1}, "it has no key"),
        ({"Key": "a"}, "it has 'Key'; it takes key, version, size, etag"),
        ({"key": 1}, "the key is 1; it takes text"),
        ("é" * 513, "the key has 1,026 bytes of UTF-8; S3 takes at most 1,024"),
        ("a\0b", "has a NUL character"),
        ("a\ud800", "the key is not UTF-8"),
        ({"key": "a", "version": "a b"}, "the version is 'a b'; it takes a version ID of S3"),
        ({"key": "a", "version": "v" * 1025}, "the version is 'vvv"),
        ({"key": "a", "size": -1}, "the size is -1; it takes a number of bytes, at most"),
        ({"key": "a", "size": True}, "the size is True"),
        ({"key": "a", "size": 1.0}, "the size is 1.0"),
        ({"key": "a", "size": "9" * 5000}, "the size is '999"),
        ({"key": "a", "size": "\u0661"}, "the size is '\u0661'"),
        ({"key": "a", "size": 10**18}, "the size is 1000000000000000000"),
        ({"key": "a", "etag": 'W/"e"'}, "the etag is 'W/"),
        ({"key": "a", "etag": "e\r\nx"}, "the etag is 'e x'"),
    ],
)
def test_a_value_that_is_no_entry_is_named(value: Any, problem: str) -> None:
    """With what it takes."""
    with pytest.raises(ValueError, match=re.escape(problem)):
        entry_of(value)
