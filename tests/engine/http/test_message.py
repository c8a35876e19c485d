"""The grammar of requests and responses without their bodies."""

from __future__ import annotations

from collections.abc import MutableMapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.http.message import (
    MAX_FIELDS,
    Headers,
    ProtocolError,
    encode_request,
    parse_response,
)


def test_header_names_have_no_case_in_any_operation() -> None:
    """Also where a dict's methods would pass by an overridden ``__setitem__``."""
    headers = Headers({"A-b": "1"})

    headers.update({"X-Y": "2"})
    headers.setdefault("x-y", "3")
    headers["ETAG"] = "4"

    assert isinstance(headers, MutableMapping)
    assert dict(headers) == {"a-b": "1", "x-y": "2", "etag": "4"}
    assert headers == Headers({"ETag": "4", "x-Y": "2", "a-B": "1"})
    assert (headers.pop("X-y"), headers.get("X-Y"), "x-y" in headers, "Etag" in headers) == ("2", None, False, True)
    del headers["eTag"]
    assert list(headers.items()) == [("a-b", "1")]


def test_a_response_is_parsed() -> None:
    """Status, reason, fields; repeated fields are joined, folded ones unfolded."""
    head = parse_response(
        b"HTTP/1.1 206 Partial \xe9\r\nX-A:  1 \r\nx-a: 2\r\nB:\r\nC: d\t\r\n  e\r\nContent-Length: 5"
    )

    assert (head.status, head.reason, head.content_length) == (206, "Partial \xe9", 5)
    assert dict(head.headers) == {"x-a": "1, 2", "b": "", "c": "d e", "content-length": "5"}
    assert (head.is_chunked, head.keeps_alive) == (False, True)


@pytest.mark.parametrize(
    ("data", "keeps_alive"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: closed", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Upgrade, CLOSE", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive", True),
    ],
)
def test_the_version_and_the_connection_options_decide_whether_a_connection_is_kept(
    data: bytes, *, keeps_alive: bool
) -> None:
    """Options are whole words of a list."""
    assert parse_response(data).keeps_alive is keeps_alive


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 101 Switching Protocols",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        b"HTTP/1.1 200 OK\r\n A: b",
        b"HTTP/1.1 200 OK" + b"\r\na: b" * (MAX_FIELDS + 1),
    ],
)
def test_an_ambiguous_response_is_rejected(data: bytes) -> None:
    """Above all where its body would begin or end at two places."""
    with pytest.raises(ProtocolError):
        parse_response(data)


@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_response_or_a_protocol_error(data: bytes) -> None:
    """The error's text quotes nothing: a proxy may send a request's URL back."""
    for begin in (b"", b"HTTP/1.1 200 OK\r\n"):
        try:
            parse_response(begin + data)
        except ProtocolError as error:
            assert str(error) in {  # noqa: PT017 - either outcome is right
                "malformed status line or header field",
                "malformed, repeated or too large Content-Length",
                "the server switches protocols, which no request asked for",
                "unsupported Transfer-Encoding, or one beside a Content-Length or from HTTP/1.0",
            }


def test_a_request_is_encoded_in_the_order_of_its_fields() -> None:
    """Values may hold any character of latin-1 but control characters."""
    found = encode_request("GET /a HTTP/1.1", {"Host": "b"}, {"x-c": "d e\t\xe9\xa0"})

    assert found == b"GET /a HTTP/1.1\r\nHost: b\r\nx-c: d e\t\xe9\xa0\r\n\r\n"


@given(
    name=st.text(st.characters(codec="latin-1"), max_size=5),
    value=st.text(st.characters(codec="latin-1"), max_size=5),
    control=st.sampled_from(["\r\n", "\n", "\r", "\x00", "\x0b", "\x1b", "\x7f"]),
)
def test_a_control_character_in_a_request_is_rejected(name: str, value: str, control: str) -> None:
    """No key, name or value becomes another header field."""
    for fields in ({name + control: value}, {name: control + value}):
        with pytest.raises(ValueError, match="control character"):
            encode_request("GET / HTTP/1.1", fields)
