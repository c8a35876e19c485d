"""The XML of S3 is read within limits."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.s3.documents import parse_document
from airflow_s3_azure.engine.xml import InvalidXML


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not well-formed"),
        (b"<a", "not well-formed"),
        (b"<b/>", "its root is not 'a'"),
        (b"<a/>" + b" " * 2**20, "it has more than 1,048,576 bytes"),
        (b"<a>" * 17 + b"</a>" * 17, "nested more than 16 deep"),
        (b"<a>" * 300_000, "nested more than 16 deep"),
        (b"<!DOCTYPE a><a/>", "it has a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "it has a document type"),
        (b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>', "it has a document type"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "not well-formed"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "not well-formed"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "not well-formed"),
        (b"<a>\xff</a>", "not well-formed"),
    ],
)
def test_a_document_beyond_the_limits_is_refused(data: bytes, why: str) -> None:
    """The error names it."""
    with pytest.raises(InvalidXML, match=why):
        parse_document(data, "a")


def test_a_document_is_read_in_any_namespace() -> None:
    """S3 uses one, its imitations may not."""
    for start in (b"<a>", b'<a xmlns="urn:x">'):
        assert parse_document(start + b"<b>c</b></a>", "a").findtext("{*}b") == "c"


@given(st.binary(max_size=200) | st.text(alphabet="<>/a!&;\"' []?x=", max_size=60).map(str.encode))
def test_any_bytes_are_a_document_or_an_error(data: bytes) -> None:
    """Nothing else escapes."""
    with suppress(InvalidXML):
        assert parse_document(data, "a").tag.endswith("a")
