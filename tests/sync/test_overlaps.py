"""Prefixes that may be planned in parallel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.sync.overlaps import check_prefixes


@pytest.mark.parametrize("prefixes", [[""], ["a/", "b/"], ["a/1", "a/2"], [], ["b/", "a/", "ab/"]])
def test_prefixes_that_share_no_key_are_planned_side_by_side(prefixes: list[str]) -> None:
    """In any order."""
    check_prefixes(prefixes)


@pytest.mark.parametrize("prefixes", [["a/", "a/"], ["a/b/", "c/", "a/"], ["", "a"], ["a", "b", "a.b", "a/x"]])
def test_prefixes_that_share_keys_are_refused(prefixes: list[str]) -> None:
    """They would be copied twice."""
    with pytest.raises(PlanError, match="overlap, so keys would be copied twice"):
        check_prefixes(prefixes)


@given(prefixes=st.lists(st.text("ab/", max_size=3), max_size=5))
def test_prefixes_are_refused_only_if_one_begins_with_another(prefixes: list[str]) -> None:
    """With any prefixes between them."""
    overlap = any(one.startswith(other) for i, one in enumerate(prefixes) for j, other in enumerate(prefixes) if i != j)
    try:
        check_prefixes(prefixes)
    except PlanError:
        refused = True
    else:
        refused = False

    assert refused is overlap
