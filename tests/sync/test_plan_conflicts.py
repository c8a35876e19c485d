"""The conflicts that a plan finds in the listing of the container, before a copy fails of them."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from airflow_s3_azure.engine.conflicts import CONFLICTS
from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.model import BlobState, Precondition
from airflow_s3_azure.sync.budget import Budget
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_conflicts import PlanConflicts, conflict_texts, total_conflicts
from airflow_s3_azure.sync.plan_model import PlanOptions
from airflow_s3_azure.sync.select import Selection
from tests.sync.plans import PATH, THEIRS, Made, copied, listed, plan

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


ARCHIVED = replace(copied(etag="old"), conflict="archived")


def test_an_archived_blob_that_is_replaced_is_no_conflict() -> None:
    """The manifest names it, with the ETag that it must still have; other conflicts stay."""
    blobs = {"a": ARCHIVED, "b": replace(ARCHIVED, conflict="page_blob"), "c": replace(copied(), conflict="archived")}

    made = plan([listed(key) for key in blobs], blobs, overwrite_archived=True, budget=Budget(max_delete=1))

    assert made.plan.conflicts.counts == {"page_blob": 1}
    assert (made.plan.replaced, made.plan.as_json()["replaced_archived"]) == (1, 1)
    requests = {one.key: (one.replace_archived, one.precondition) for one in made.to_copy}
    assert requests == {"a": (True, Precondition('"blob"')), "b": (False, Precondition('"blob"'))}


@pytest.mark.parametrize("options", [{}, {"overwrite_archived": False}])
def test_without_the_option_no_request_allows_a_deletion(options: dict[str, Any]) -> None:
    """Whatever is archived."""
    made = plan([listed("a")], {"a": ARCHIVED}, **options)

    assert ([one.replace_archived for one in made.to_copy], made.plan.replaced) == ([False], 0)


def test_an_archived_blob_that_is_to_be_adopted_is_not_replaced() -> None:
    """Its content cannot be read, so it may be a copy."""
    blob = replace(THEIRS, conflict="archived")

    made = plan([listed("a")], {"a": blob}, compare="checksum", overwrite_archived=True, budget=Budget(max_delete=1))

    assert ([(one.adopt, one.replace_archived) for one in made.to_copy], made.plan.replaced) == ([(True, False)], 0)
    assert made.plan.conflicts.counts == {"archived": 1}


@pytest.mark.parametrize(
    ("max_delete", "replaced", "orphaned", "refused"),
    [
        (2, 2, 0, False),
        (2, 3, 0, True),
        (2, 1, 1, False),
        (2, 1, 2, True),
        (0, 1, 0, True),
        (0.3, 3, 0, False),
        (0.3, 2, 1, False),
        (0.3, 2, 2, True),
        (1, 2, 0, True),
    ],
)
def test_a_plan_replaces_no_more_archived_blobs_than_it_may_delete(
    *, max_delete: float, replaced: int, orphaned: int, refused: bool
) -> None:
    """They count together with the orphaned ones; above the limit nothing is copied."""
    blobs = {f"{number:02}": ARCHIVED if number < replaced else copied() for number in range(10)}
    objects = [listed(f"{number:02}") for number in range(10 - orphaned)]
    options: dict[str, Any] = {"overwrite_archived": True, "delete": True, "budget": Budget(max_delete=max_delete)}

    if not refused:
        made = plan(objects, blobs, **options)
        assert (made.plan.replaced, made.plan.orphaned, made.plan.delete_refused) == (replaced, orphaned, None)
        return
    others = {0: "", 1: ", and 1 orphaned blob too", 2: ", and 2 orphaned blobs too"}[orphaned]
    with pytest.raises(PlanError) as caught:
        plan(objects, blobs, **options)
    assert str(caught.value).replace("\n  ", " ") == (
        f"overwrite_archived is True, and {replaced} of 10 blobs are archived and would be deleted to replace them{others}, but "
        f"max_delete is {max_delete:,}; nothing was copied: check the lines with replace_archived in "
        f"https://account.example/container/{PATH}/manifest.jsonl, then raise it"
    )


def test_orphans_without_replaced_blobs_only_stop_the_deletion() -> None:
    """As without the option."""
    blobs = {"a": copied(), "b": copied(), "c": copied()}

    made = plan([listed("a")], blobs, delete=True, overwrite_archived=True, budget=Budget(max_delete=1))

    assert made.plan.delete_refused is not None
    assert made.plan.replaced == 0
