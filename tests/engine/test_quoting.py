"""What a server sent is cut to a line of printable characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.quoting import quote_text, request_id


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-amz-request-id": "4442587FB7D0A2F9"}, "4442587FB7D0A2F9"),
        (
            {"x-amz-request-id": "4442587FB7D0A2F9", "x-amz-id-2": "vlR7/Pnp+V2Ce="},
            "4442587FB7D0A2F9, id2 vlR7/Pnp+V2Ce=",
        ),
        ({"x-ms-request-id": "5ba9eb6b-b01e-0002-1f8b-3ac1b0000000"}, "5ba9eb6b-b01e-0002-1f8b-3ac1b0000000"),
        ({"x-amz-request-id": "\n\x1b[31m 1 2\u202e"}, "31m12"),
        ({"x-amz-request-id": "a" * 500}, "a" * 120),
        ({"x-amz-request-id": "\n"}, None),
    ],
)
def test_the_services_request_ids_are_taken_from_the_headers(headers: dict[str, str], expected: str | None) -> None:
    """Of S3 both, of Azure the one; without the characters that no ID has."""
    assert request_id(headers) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Access Denied", "Access Denied"),
        ("two\r\nlines\x00 and\u2028more", "two lines and more"),
        ("\x1b[31mred\u202e", "[31mred"),
        ("x" * 500, "x" * 199 + "…"),
    ],
)
def test_text_of_a_server_is_quoted_as_one_line(text: str, expected: str) -> None:
    """It cannot forge a line of the log, color it or turn its direction."""
    assert quote_text(text) == expected


@given(st.text())
def test_any_text_can_be_quoted(text: str) -> None:
    """What is left is printable and short."""
    quoted = quote_text(text)

    assert quoted.isprintable()
    assert len(quoted) <= 200
