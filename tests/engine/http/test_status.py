"""Retry-After: seconds or a date, and any other text that a server may send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_s3_azure.engine.http.status import retry_after


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1", 1.0), ("120", 120.0), (" 7 ", 7.0), ("007", 7.0)],
)
def test_retry_after_is_read_as_a_number(text: str, seconds: float) -> None:
    """Most servers send seconds."""
    assert retry_after({"Retry-After": text}) == seconds


@pytest.mark.parametrize("ahead", [30, 240])
def test_retry_after_is_read_as_a_date(ahead: int) -> None:
    """A date is as many seconds as it lies ahead."""
    text = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)

    found = retry_after({"Retry-After": text})

    assert found is not None
    assert ahead - 2 <= found <= ahead


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 01 Jan 1970 00:00:00 +0000"])
def test_a_retry_after_in_the_past_is_no_wait(text: str) -> None:
    """A clock that is behind does not give a negative wait."""
    assert retry_after({"Retry-After": text}) == 0.0


@pytest.mark.parametrize("text", ["", " ", "soon", "-1", "1.5", "1e3", "2026-11-01T00:00:00Z", "Wed, 99 Foo 2015"])
def test_a_malformed_retry_after_is_ignored(text: str) -> None:
    """What is neither seconds nor a date is as good as none."""
    assert retry_after({"Retry-After": text}) is None


def test_no_retry_after_is_none() -> None:
    """The header is optional."""
    assert retry_after({}) is None


def test_retry_after_is_found_in_any_case() -> None:
    """Header names of both libraries are case-insensitive."""
    assert retry_after(requests.structures.CaseInsensitiveDict({"retry-after": "3"})) == 3.0


@given(text=st.text(max_size=30))
def test_any_retry_after_is_survived(text: str) -> None:
    """Any text gives a wait or none."""
    found = retry_after({"Retry-After": text})

    assert found is None or found >= 0


@given(
    text=st.builds(
        "{} {} {} 00:00:00 {:+}".format,
        st.integers(),
        st.sampled_from(["Jan", "Dec"]),
        st.integers(),
        st.integers(),
    )
)
@example("1 Jan 99999999999999999999 00:00:00 GMT")
@example("1 Jan 2020 00:00:00 +99999999999999")
def test_any_date_in_retry_after_is_survived(text: str) -> None:
    """A date beyond all calendars gives a wait or none, as other junk does."""
    found = retry_after({"Retry-After": text})

    assert found is None or found >= 0
