"""Keys by the day that is written in them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.days import DayRange
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.select import Selection

days = st.dates(date(1990, 1, 1), date(2039, 12, 31))
day_folders = st.sampled_from(
    ["%Y/%m/%d/", "dt=%Y-%m-%d/", "%Y%m%d", "year=%Y/month=%m/day=%d/", "%d.%m.%Y/", "%m/%d/%Y", "100%%/%Y-%m-%d"]
)
month_folders = st.sampled_from(["%Y/%m/", "%Y-%m", "%m.%Y/"])


@given(
    day_folder=day_folders, first=days | st.none(), last=days | st.none(), day=days, rest=st.text("/a.0", max_size=4)
)
def test_a_key_is_chosen_by_its_day(
    day_folder: str, first: date | None, last: date | None, day: date, rest: str
) -> None:
    """From the first day to the last, both included; and it begins with what is listed."""
    if first and last and first > last:
        first, last = last, first
    chosen = DayRange("a.b/", day_folder, first, last)
    key = "a.b/" + day.strftime(day_folder) + rest

    assert (key in chosen) == ((first or day) <= day <= (last or day))
    if key in chosen:
        assert key.startswith(chosen.shared_prefix)


@given(month_folder=month_folders, first=days, last=days, day=days)
def test_a_key_with_a_month_alone_is_chosen_if_any_of_its_days_is(
    month_folder: str, first: date, last: date, day: date
) -> None:
    """Better some days too many than one too few."""
    first, last = sorted([first, last])
    chosen = DayRange("", month_folder, first, last)
    key = day.strftime(month_folder)

    assert (key in chosen) == ((first.year, first.month) <= (day.year, day.month) <= (last.year, last.month))
    if key in chosen:
        assert key.startswith(chosen.shared_prefix)


@pytest.mark.parametrize(
    "key",
    ["exports/latest/x", "exports/2026/11", "exports/2026/1/2/", "exportsX2026/11/02/", "x/exports/2026/11/02/", ""],
)
def test_a_key_without_a_day_in_its_place_is_not_chosen(key: str) -> None:
    """Also where the range has no end."""
    assert key not in DayRange("exports/", "%Y/%m/%d/")


@pytest.mark.parametrize(
    ("first", "last", "shared"),
    [
        (date(2026, 11, 2), date(2026, 11, 2), "x/2026/11/02/"),
        (date(2026, 11, 1), date(2026, 11, 9), "x/2026/11/0"),
        (date(2025, 12, 31), date(2026, 1, 1), "x/202"),
        (None, date(2026, 1, 1), "x/"),
        (date(2026, 1, 1), None, "x/"),
    ],
)
def test_no_more_is_listed_than_the_days_share(first: date | None, last: date | None, shared: str) -> None:
    """One listing, however long the range."""
    assert DayRange("x/", "%Y/%m/%d/", first, last).shared_prefix == shared


@pytest.mark.parametrize("day_folder", ["", "%d/%m", "%Y/%d", "%Y/%m/%d/%H", "%Y%Y%m%d", "%y/%m/%d", "day"])
def test_a_folder_that_is_no_day_is_refused(day_folder: str) -> None:
    """With what it takes."""
    with pytest.raises(ConfigurationError, match="it takes %Y, %m and %d, each once"):
        DayRange("", day_folder)


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    """A sync that can select nothing is a mistake."""
    with pytest.raises(ConfigurationError, match=r"first_day \(2026-11-02\) is after last_day \(2026-11-01\)"):
        DayRange("", "%Y/%m/%d/", date(2026, 11, 2), date(2026, 11, 1))


def test_a_selection_may_ask_for_days() -> None:
    """Its other criteria still apply."""
    selection = Selection(days=DayRange("", "%Y/%m/%d/", date(2026, 11, 1), date(2026, 11, 1)), exclude=["**/b"])
    keys = ["2026/11/01/a", "2026/11/01/b", "2026/11/02/a", "a"]

    assert [key for key in keys if ListedObject(key, 1, "e", datetime(2026, 11, 5, tzinfo=UTC)) in selection] == keys[
        :1
    ]
