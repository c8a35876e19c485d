"""Split points: ahead of what is known, and about as far as was asked for."""

from __future__ import annotations

from bisect import bisect_right
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.sync.split_points import Density

RANDOM = Random(7)
SETS = {
    "counter": [f"logs/part-{number:08d}.gz" for number in range(20_000)],
    "folders": [f"batch-{number // 50:04d}/orders-{number:08d}.json" for number in range(20_000)],
    "uuids": sorted(str(UUID(int=RANDOM.getrandbits(128))) for _ in range(20_000)),
    "hashes": sorted(f"{RANDOM.getrandbits(64):016X}" for _ in range(20_000)),
    "numbers": sorted(str(number) for number in range(10_000, 30_000)),
}


def density(names: list[str], start: int, pages: int, page: int = 100) -> Density:
    """Return the density of pages of 100 names."""
    marks = [names[start], *(names[start + number * page - 1] for number in range(1, pages + 1))]
    return Density(marks, names[start : start + pages * page : 10])


@pytest.mark.parametrize("names", SETS.values(), ids=SETS.keys())
@pytest.mark.parametrize("start", [0, 2_500, 7_000])
def test_a_point_is_about_as_far_ahead_as_asked(names: list[str], start: int) -> None:
    """Of 16 pages, between 8 and 32."""
    point = density(names, start, 4).ahead(names[start + 399], 16)

    assert point is not None
    assert 800 <= bisect_right(names, point) - (start + 400) <= 3_200


@pytest.mark.parametrize("names", SETS.values(), ids=SETS.keys())
def test_the_pages_between_two_names_are_estimated(names: list[str]) -> None:
    """Within a factor of two."""
    assert 8 <= density(names, 1_000, 4).pages_between(names[2_000], names[3_600]) <= 32


@given(
    marks=st.lists(st.text(max_size=6), min_size=2, max_size=6).map(sorted),
    sample=st.lists(st.text(max_size=6), max_size=6),
    name=st.text(max_size=6),
    pages=st.integers(1, 50),
)
def test_a_point_is_above_the_name_and_valid_text(marks: list[str], sample: list[str], name: str, pages: int) -> None:
    """Whatever the names are; where they do not tell, there is no point."""
    point = Density(marks, sample).ahead(name, pages)

    if point is not None:
        assert point > name
        assert point.encode().decode() == point


def test_names_that_are_equal_tell_nothing() -> None:
    """A page of one name."""
    assert Density(["a", "a"], ["a"]).ahead("a", 16) is None
    assert Density(["a", "a"], ["a"]).pages_between("a", "b") == 0
