"""What templated arguments may be, once their templates are rendered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.values import flag, number, size, strings, time, whole

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, []),
        ((), []),
        ("", []),
        ("None", []),
        (" \n\n", []),
        (["a", "b"], ["a", "b"]),
        (("a",), ["a"]),
        ([" a "], [" a "]),
        (["a", "", "None"], ["a"]),
        ("a", ["a"]),
        ("a\nb", ["a", "b"]),
        ("  a \r\n\n  b\n", ["a", "b"]),
        ("a\u2028b\x85c\nd", ["a\u2028b\x85c", "d"]),
        ("a,b", ["a,b"]),
        ("[ab]*.csv", ["[ab]*.csv"]),
    ],
)
def test_texts_are_a_list_or_lines(value: Any, found: list[str]) -> None:
    """Empty ones, as an empty field of a form gives, are none."""
    assert list(strings("include", value)) == found


@pytest.mark.parametrize("value", ["['a', 'b']", "[]", '["a"]', "\n['a']\n"])
def test_a_list_that_became_text_is_refused(value: str) -> None:
    """Its brackets would be taken for a glob that no key matches."""
    with pytest.raises(ConfigurationError) as caught:
        strings("include", value)

    assert "include is the text" in str(caught.value)
    assert r"join it: {{ params.include | join('\n') }}" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        ("", None),
        (" None ", None),
        (MIDNIGHT, MIDNIGHT),
        ("2026-11-22T00:00:00+00:00", MIDNIGHT),
        (" 2026-11-22T00:00:00Z\n", MIDNIGHT),
        ("2026-11-22 01:00:00+01:00", MIDNIGHT),
        ("2026-11-22", datetime(2026, 11, 22)),  # noqa: DTZ001 - refused where it is used, with the reason
    ],
)
def test_a_time_is_a_time_or_its_text(value: datetime | str | None, found: datetime | None) -> None:
    """In any zone."""
    assert time("modified_since", value) == found


@pytest.mark.parametrize("value", ["yesterday", "2026-13-01", "{{ ds }}", "1700000000"])
def test_a_text_that_is_no_time_is_refused(value: str) -> None:
    """With one that is."""
    with pytest.raises(
        ConfigurationError, match=r"modified_since is '.*'; it takes a time such as 2026-11-22T00:00:00"
    ):
        time("modified_since", value)


@given(value=st.datetimes(timezones=st.just(UTC)))
def test_every_time_survives_a_template(value: datetime) -> None:
    """A rendered time is its ISO text, or what ``str`` makes of it."""
    assert time("modified_since", value.isoformat()) == time("modified_since", str(value)) == value


@pytest.mark.parametrize("value", [True, "True", "true", " TRUE "])
def test_true_is_on(*, value: bool | str) -> None:
    """As a value, and as a template renders it."""
    assert flag("overwrite", value) is True


@pytest.mark.parametrize("value", [False, "False", "false", "", "None", None])
def test_false_and_nothing_are_off(*, value: bool | str | None) -> None:
    """An empty field of a form is nothing."""
    assert flag("overwrite", value) is False


@pytest.mark.parametrize("value", ["yes", "1", "0", "{{ params.overwrite }}", 1])
def test_what_is_neither_on_nor_off_is_refused(value: Any) -> None:
    """No guess decides whether blobs are replaced."""
    with pytest.raises(ConfigurationError, match=r"overwrite is .*; it takes True or False"):
        flag("overwrite", value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, None),
        ("", None),
        (" None", None),
        (0, 0),
        ("0", 0),
        (0.5, 0.5),
        (" 0.5 ", 0.5),
        ("1e3", 1000),
        (7.0, 7),
        ("12345678901234567", 12345678901234567),
    ],
)
def test_a_number_is_a_number_or_its_text(value: Any, found: float | None) -> None:
    """A whole one is whole, to the last digit."""
    made = number("max_delete", value)

    assert made == found
    assert type(made) is type(found)


@pytest.mark.parametrize("value", [-1, "-0.1", "ten", "10%", "nan", "1,000", float("nan"), []])
def test_what_is_no_number_from_zero_up_is_refused(value: Any) -> None:
    """Also what is no number, but of its type."""
    with pytest.raises(ConfigurationError, match=r"max_delete is .*; it takes a number from 0 up"):
        number("max_delete", value)


@given(value=st.integers(0))
def test_every_whole_number_survives_a_template(value: int) -> None:
    """Bytes are counted, and not rounded."""
    assert whole("max_bytes", str(value)) == whole("max_bytes", value) == value


@pytest.mark.parametrize(("value", "found"), [(None, None), ("", None), ("5", 5), (5.0, 5), ("1e3", 1000)])
def test_a_whole_number_is_whole(value: Any, found: int | None) -> None:
    """Or nothing."""
    assert whole("max_objects", value) == found


@pytest.mark.parametrize("value", [0.5, "1.5", "inf"])
def test_a_part_of_an_object_is_refused(value: Any) -> None:
    """There is no half object."""
    with pytest.raises(ConfigurationError, match=r"max_objects is .*; it takes a whole number"):
        whole("max_objects", value)


@pytest.mark.parametrize("value", ["1e999999999", "1e999999", "1e5000 PiB", "9" * 5000, 10**40])
def test_a_size_beyond_any_object_is_refused(value: Any) -> None:
    """Decimal and Python's own numbers have limits of their own, with errors that name no argument."""
    with pytest.raises(ConfigurationError, match=r"(?s)max_bytes is.*; it takes a size in bytes"):
        size("max_bytes", value)
