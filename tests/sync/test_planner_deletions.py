"""Which blobs a mirror would delete: those whose key is gone, whose record is its own, and no more than it may."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.sync.budget import Budget
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import PlanOptions
from airflow_s3_azure.sync.select import Selection
from tests.sync.plans import BUCKET, LATER, RESERVED_KEYS, THEIRS, UPLOADED, Made, copied, listed, plan


def test_a_mirror_lists_the_blobs_whose_key_is_gone() -> None:
    """With what must still hold of them when they are deleted."""
    made = plan([listed("a")], {"a": copied(), "b": copied(7, "old", '"b"')}, delete=True, budget=Budget(max_delete=1))

    assert (made.plan.orphaned, made.plan.delete_refused) == (1, None)
    assert made.deletion_rows == [
        {"key": "b", "blob": "b", "size": 7, "blob_etag": '"b"', "last_modified": LATER.isoformat()}
    ]


def test_a_mirror_without_anything_to_delete_has_an_empty_list() -> None:
    """It is there to be read."""
    made = plan([listed("a")], {"a": copied()}, delete=True)

    assert (made.plan.orphaned, made.plan.delete_refused, made.deletions) == (0, None, [])


@pytest.mark.parametrize("name", ["theirs", "_s3_to_azure/dag/run/summary.json", *RESERVED_KEYS])
def test_a_mirror_never_deletes_what_this_package_did_not_copy(name: str) -> None:
    """Another tool's blobs, and the plans and ledgers of this one."""
    state = THEIRS if name == "theirs" else copied()
    made = plan([listed("a")], {"a": copied(), name: state}, delete=True, budget=Budget(max_delete=10))

    assert made.plan.orphaned == 0


@pytest.mark.parametrize(
    "identity",
    [
        str(CopyIdentity("other-bucket", "b", "b")),
        str(CopyIdentity(BUCKET, "b", "archive/b")),
        "forged",
    ],
)
def test_a_mirror_never_deletes_a_blob_whose_record_names_another(identity: str) -> None:
    """A manual copy of a blob has the record of the original; one from another bucket belongs to another sync."""
    blobs = {"a": copied(), "b": replace(copied(), record=SourceRecord("etag", 5, identity=identity))}

    made = plan([listed("a")], blobs, delete=True, budget=Budget(max_delete=10))

    assert (made.plan.orphaned, made.deletions) == (0, [])


@pytest.mark.parametrize(
    ("naming", "name"),
    [
        (Naming(), "exports/legacy/x"),
        (Naming("copies/", "exports/"), "copies/legacy/x"),
        (Naming(template="{folder}{last_modified:%Y}/{name}"), "exports/2026/x"),
        (Naming(template="{name}"), "x"),
    ],
)
def test_a_mirror_never_deletes_what_another_sync_copied_from_another_key(naming: Naming, name: str) -> None:
    """Into the mirror's part of the container. That key may be outside the listing, so nothing says that it is gone."""
    theirs = replace(
        copied(), record=SourceRecord("etag", 5, identity=str(CopyIdentity(BUCKET, "archive/2020/x", name)))
    )
    key = listed("exports/a")
    blobs = {naming.name(key.key, UPLOADED): copied(), name: theirs}

    made = plan([key], blobs, naming=naming, prefix="exports/", delete=True, budget=Budget(max_delete=10))

    assert (made.plan.orphaned, made.deletions) == (0, [])


def test_a_mirror_deletes_under_the_names_of_its_own_keys() -> None:
    """With prefixes and with a template, whose names tell the key."""
    for naming in (Naming("copies/", "exports/"), Naming(template="{folder}{last_modified:%Y}/{name}")):
        name = naming.name("exports/gone", UPLOADED)
        record = SourceRecord("etag", 5, identity=str(CopyIdentity(BUCKET, "exports/gone", name)))

        made = plan(
            [listed("exports/a")],
            {name: replace(copied(), record=record)},
            naming=naming,
            delete=True,
            budget=Budget(max_delete=10),
        )

        assert [(row["key"], row["blob"]) for row in made.deletion_rows] == [("exports/gone", name)]


def test_a_mirror_never_deletes_what_an_earlier_version_copied() -> None:
    """Its record names no object, so a manual copy of it would look the same. It still counts as unchanged."""
    options = PlanOptions(Selection(), Naming(), bucket=BUCKET, delete=True, budget=Budget(max_delete=10))

    made = Made([listed("a")], [("a", copied()), ("b", copied())], options)

    assert (made.statuses, made.plan.orphaned, made.deletions) == ({"a": "unchanged"}, 0, [])


def test_a_mirror_keeps_the_blobs_of_keys_that_are_not_selected() -> None:
    """Their keys are there, and only the filters leave them out; so are those of folder markers."""
    blobs = {"a": copied(), "b": copied(), "c": copied()}
    objects = [listed("a"), listed("b", modified=UPLOADED - timedelta(days=1))]

    made = plan(
        objects,
        blobs,
        selection=Selection(modified_since=UPLOADED),
        delete=True,
        budget=Budget(max_delete=10),
    )

    assert made.deletions == ["c"]
    assert made.plan.objects == 1


def test_a_mirror_that_selects_no_key_may_still_delete() -> None:
    """The listing is not empty, so nothing is wrong with the source."""
    made = plan(
        [listed("a")],
        {"a": copied(), "b": copied()},
        selection=Selection(include=["none"]),
        delete=True,
        budget=Budget(max_delete=1),
    )

    assert (made.deletions, made.plan.delete_refused) == (["b"], None)


def test_a_mirror_deletes_nothing_for_an_empty_listing() -> None:
    """It is more likely a mistake than intended, so max_delete does not matter."""
    made = plan([], {"a": copied()}, delete=True, budget=Budget(max_delete=1000))

    assert made.plan.delete_refused == (
        "the source listing is empty, and 1 blob would be deleted: check s3_bucket and s3_prefix"
    )


@pytest.mark.parametrize(
    ("max_delete", "orphaned", "refused"),
    [(2, 2, False), (2, 3, True), (0, 1, True), (0, 0, False), (0.2, 2, False), (0.2, 3, True), (0.1, 1, False)],
)
def test_a_mirror_deletes_no_more_than_it_may(*, max_delete: float, orphaned: int, refused: bool) -> None:
    """A number of blobs, or, below 1, a share of the blobs under the plan's prefix; ledgers and others do not count."""
    blobs = {f"{number:02}": copied() for number in range(10)} | {
        f"_s3_to_azure/{number}": THEIRS for number in range(90)
    }

    made = plan(
        [listed(f"{number:02}") for number in range(orphaned, 10)],
        blobs,
        delete=True,
        budget=Budget(max_delete=max_delete),
    )

    assert made.plan.orphaned == orphaned
    assert (made.plan.delete_refused is not None) is refused


def test_a_refused_deletion_names_both_numbers() -> None:
    """And the place of the list."""
    blobs = {f"{number:04}": copied() for number in range(5000)}

    made = plan([listed("0000")], blobs, delete=True, budget=Budget(max_delete=1500))

    assert made.plan.delete_refused == (
        "4,999 of 5,000 blobs would be deleted, but max_delete is 1,500: check delete.jsonl in the plan's folder, "
        "then raise it"
    )
