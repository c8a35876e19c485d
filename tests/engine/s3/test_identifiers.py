"""What identifies a version of an object. Pure."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.s3.identifiers import read_etag, read_version

MD5 = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        ('"a"', "a"),
        ("a", "a"),
        (f'"{MD5}-12"', f"{MD5}-12"),
        (None, None),
        ("", None),
        ('""', None),
        ('"', None),
        ('W/"a"', None),
        ("W/a", None),
        ('"a b"', None),
        ('"a"b"', None),
        ('"\xe9"', None),
        ("a" * 1024, "a" * 1024),
        ("a" * 1025, None),
    ],
)
def test_an_etag_is_read_if_it_can_pin_a_version(text: str | None, etag: str | None) -> None:
    """Weak ones cannot, and malformed ones cannot be sent back."""
    assert read_etag(text) == etag


@pytest.mark.parametrize(
    ("text", "version"), [("3HL4.kqtJ", "3HL4.kqtJ"), ("", None), ("a b", None), ("a" * 1025, None)]
)
def test_a_version_id_is_read_if_it_can_be_sent_back(text: str, version: str | None) -> None:
    """A malformed one pins nothing."""
    assert read_version(text) == version
