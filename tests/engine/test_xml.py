"""Untrusted XML: limited depth, no document type, no entities."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.xml import MAX_DEPTH, InvalidXML, parse_xml


def _nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


def test_a_document_is_parsed() -> None:
    """Elements, attributes and text come back."""
    root = parse_xml(b'<?xml version="1.0" encoding="utf-8"?><a><b c="d">\xc3\xa9</b></a>')

    assert [(root.tag, root[0].tag, root[0].attrib, root[0].text)] == [("a", "b", {"c": "d"}, "\xe9")]


def test_elements_are_nested_up_to_a_limit() -> None:
    """The limit itself is allowed; siblings do not count."""
    assert len(list(parse_xml(_nested(MAX_DEPTH)).iter())) == MAX_DEPTH
    assert len(parse_xml(b"<a>" + b"<b/>" * 100 + b"</a>")) == 100
    with pytest.raises(InvalidXML, match=r"^elements are nested more than 16 deep$"):
        parse_xml(_nested(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "declaration", [b"<!DOCTYPE a>", b'<!DOCTYPE a SYSTEM "file:///etc/passwd">', b'<!DOCTYPE a [<!ENTITY b "c">]>']
)
def test_a_document_type_is_rejected(declaration: bytes) -> None:
    """Only one can declare entities, which expand to gigabytes or read files."""
    with pytest.raises(InvalidXML, match=r"^it has a document type$"):
        parse_xml(declaration + b"<a></a>")


@pytest.mark.parametrize("data", [b"", b"text", b"<a>", b"<a></b>", b"<a/><a/>", b"<a>&b;</a>", b"<a>\xff</a>"])
def test_a_malformed_document_is_rejected(data: bytes) -> None:
    """The message names the kind of error, and quotes nothing of the document."""
    with pytest.raises(InvalidXML, match=r"^not well-formed \(ParseError\)$") as caught:
        parse_xml(data)

    assert caught.value.__cause__ is None


def test_an_unknown_encoding_is_rejected() -> None:
    """The parser raises a LookupError for it."""
    with pytest.raises(InvalidXML, match=r"^not well-formed "):
        parse_xml(b'<?xml version="1.0" encoding="odd"?><a/>')


@given(st.binary(max_size=50) | st.binary(max_size=20).map(lambda data: b"<a>" + data + b"</a>"))
def test_any_bytes_give_a_document_or_one_error(data: bytes) -> None:
    """No other exception type escapes."""
    with suppress(InvalidXML):
        parse_xml(data)
