"""The conflicts that a plan finds in the listing of the container, before a copy fails of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_s3_azure.engine.conflicts import CONFLICTS
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.sync.budget import Budget
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_conflicts import PlanConflicts, conflict_texts, total_conflicts
from airflow_s3_azure.sync.plan_model import PlanOptions
from airflow_s3_azure.sync.select import Selection
from tests.sync.plans import THEIRS, Made, copied, listed, plan

DIRECTORY = BlobState('"dir"', 0, conflict="directory")


@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_plan_counts_and_names_what_its_copies_conflict_with(conflict: Any) -> None:
    """Its manifest has each of them, so that each ends in the ledger."""
    changed = replace(copied(etag="old"), conflict=conflict)
    made = plan([listed("a"), listed("b"), listed("c")], {"a": changed, "b": copied(etag="old"), "c": copied()})

    assert made.plan.as_json()["conflicts"] == {conflict: {"objects": 1, "keys": ["a"]}}
    assert {one.key: one.conflict for one in made.to_copy} == {"a": conflict, "b": None}


@pytest.mark.parametrize("options", [{}, {"overwrite": False}, {"compare": "size"}])
def test_only_what_would_be_copied_is_a_conflict(options: dict[str, Any]) -> None:
    """An unchanged archived blob is none, nor one that is to stay, nor one of an archived object that is skipped."""
    archived = replace(copied(), conflict="archived")
    objects = [listed("same"), replace(listed("cold", 6), storage_class="GLACIER")]
    options = {"archived": "skip", **options}

    made = plan(objects, {"same": archived, "cold": archived, "orphan": archived}, **options)

    assert (made.plan.conflicts.as_json(), made.to_copy) == ({}, [])


@pytest.mark.parametrize("compare", ["etag", "checksum", "size", "always"])
def test_a_directory_is_no_blob(compare: Any) -> None:
    """It is neither unchanged nor adopted nor orphaned, and no part of the share that max_delete allows."""
    objects = [listed("dir", 0), *(listed(f"k{n}") for n in range(8))]
    blobs = {"dir": DIRECTORY, "other": DIRECTORY, **{f"k{n}": copied() for n in range(8)}, "gone": copied()}

    made = plan(objects, blobs, compare=compare, delete=True, budget=Budget(max_delete=0.11))

    assert made.plan.conflicts.as_json()["directory"] == {"objects": 1, "keys": ["dir"]}
    (request,) = (one for one in made.to_copy if one.key == "dir")
    assert (request.precondition.etag if request.precondition else "", request.adopt) == (None, False)
    assert (made.plan.orphaned, made.deletions) == (1, ["gone"])
    assert made.plan.delete_refused is not None
    assert "1 of 9 blobs would be deleted" in made.plan.delete_refused


def test_conflicts_survive_a_sort() -> None:
    """Of a listing that does not come in order, such as that of an account with a hierarchical namespace."""
    blobs = [("b", replace(THEIRS, size=1, conflict="append_blob")), ("a", DIRECTORY)]

    made = Made([listed("a"), listed("b")], blobs, PlanOptions(Selection(), Naming()), are_sorted=(True, False))

    assert {one.key: one.conflict for one in made.to_copy} == {"a": "directory", "b": "append_blob"}


def test_the_first_keys_are_named() -> None:
    """With the remedy, and that there are more; keys are quoted."""
    conflicts = PlanConflicts()
    for key in ("a\n", *"bcdefg"):
        conflicts.add("archived", key)
    conflicts.add("page_blob", "p")

    assert conflict_texts(conflicts.as_json()) == [
        "7 of the keys to copy conflict at the destination ('a\\n', 'b', 'c', 'd', 'e', …): "
        + str(CONFLICTS["archived"]),
        "1 of the keys to copy conflict at the destination ('p'): " + str(CONFLICTS["page_blob"]),
    ]


def test_the_conflicts_of_several_plans_are_added_up() -> None:
    """A plan of an earlier version has none."""
    one = {"conflicts": {"archived": {"objects": 2, "keys": ["a", "b"]}}}

    assert total_conflicts([one, {}, one]) == {"archived": 4}
