"""Untrusted text is shown in printable characters, and gives the log viewer no commands."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import airflow_s3_azure
from airflow_s3_azure.engine.errors import BatchFailed, ConfigurationError, SourceReadError
from airflow_s3_azure.engine.model import CopyResult
from airflow_s3_azure.engine.quoting import get_logger, printable, printable_lines, quote_text, request_id, shorten

HOSTILE = "a\n\x1b[31m\u202egpj\u2066::group::x::EndGroup::\r\u2028\udc80"
SHOWN = r"a\n\x1b[31m\u202egpj\u2066:\x3agroup::x:\x3aEndGroup::\r\u2028\udc80"
hostile_texts = st.text(st.sampled_from("ab:g\n\r\x1b\u202e\u2066\u2028") | st.characters(), max_size=30) | st.lists(
    st.sampled_from(["::group::", "::endgroup::", "::GROUP::", ":", "x", "\n"]), max_size=8
).map("".join)


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
        ("::endgroup:: ::group::x", r":\x3aendgroup:: :\x3agroup::x"),
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


def _is_safe(text: str) -> bool:
    return text.isprintable() and not re.search("::(end)?group::", text, re.IGNORECASE)


def test_text_is_escaped_so_that_it_can_be_read() -> None:
    """ANSI sequences, directions, line ends and the commands of Airflow's log viewer are shown, not obeyed."""
    assert printable(HOSTILE) == SHOWN


@pytest.mark.parametrize("text", ["exports/2026/ä 😀+&.csv", "a::b", "group::", r"a\nb", ""])
def test_ordinary_text_is_unchanged(text: str) -> None:
    """Also that of other scripts."""
    assert printable(text) == text


@given(text=hostile_texts)
def test_any_text_becomes_printable(text: str) -> None:
    """Alone, shortened, quoted, or line by line."""
    assert _is_safe(printable(text))
    assert _is_safe(printable(text, 8))
    assert _is_safe(quote_text(text))
    assert all(map(_is_safe, printable_lines(text).split("\n")))


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abcdef", 6, "abcdef"), ("abcdefg", 6, "ab…efg"), ("abcdefg", 5, "ab…fg"), ("abc", 1, "…"), ("", 1, "")],
)
def test_long_text_keeps_its_beginning_and_its_end(text: str, limit: int, expected: str) -> None:
    """Keys differ at either."""
    assert shorten(text, limit) == expected


@given(text=hostile_texts)
def test_a_log_line_shows_what_is_untrusted_in_printable_characters(text: str) -> None:
    """However its format quotes it; Airflow's own commands in the package's formats still work."""
    records: list[logging.LogRecord] = []
    logger = get_logger("airflow_s3_azure.test")
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[assignment, method-assign]
    logger.addHandler(handler)
    try:
        logger.warning("::group::%s is %r (%d)", text, text, 3)
    finally:
        logger.removeHandler(handler)

    (record,) = records
    assert record.getMessage().startswith("::group::")
    assert _is_safe(record.getMessage().removeprefix("::group::"))


def test_no_module_logs_past_the_escaping() -> None:
    """Each takes its logger from one place."""
    package = Path(airflow_s3_azure.__file__).parent
    found = [
        path.name
        for path in package.rglob("*.py")
        if re.search(r"^log = (?!get_logger)", path.read_text(), re.MULTILINE)
    ]

    assert found == []


@given(text=hostile_texts)
def test_an_error_shows_what_is_untrusted_in_printable_characters(text: str) -> None:
    """It goes to the log of Airflow itself, to XCom and to the ledger. Its own lines stay lines."""
    errors = (
        SourceReadError(f"S3 returned {text}", key=text, blob=text, request_id=text),
        ConfigurationError(f"connection {text}"),
        BatchFailed(3, 3, [text, text], retryable=True),
    )

    assert all(_is_safe(line) for error in errors for line in str(error).split("\n"))
    assert len(str(errors[2]).split("\n")) == 4


def test_errors_and_reasons_are_capped_in_ledger_and_xcom() -> None:
    """A server may send much."""
    error = SourceReadError("x" * 10_000, key="s3://bucket/key")

    row = CopyResult("key", "blob", "failed", reason="\n" * 10_000, error=error).as_json()

    assert len(str(row["error"])) == len(str(row["reason"])) == 2_000
    assert str(row["error"]).startswith("SourceReadError: xxx")
