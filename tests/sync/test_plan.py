"""The plan: every selected key is settled or to be copied, once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.stream.errors import ConfigurationError
from airflow_s3_azure.stream.objects import BlobState, CopyRequest, Precondition
from airflow_s3_azure.stream.properties import SourceRecord
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.objects import ListedObject
from airflow_s3_azure.sync.plan import BatchReference, Plan, PlanOptions, make_plan
from airflow_s3_azure.sync.select import Selection

UPLOADED = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = UPLOADED + timedelta(hours=1)
MIB = 1024**2


class MemoryFolder:
    """A plan's folder in memory, with what a plan uses of :class:`PlanFolder`."""

    path = "_s3_to_azure/dag/run/group/time"

    def __init__(self) -> None:
        self.manifests: dict[int, list[CopyRequest]] = {}
        self.ledger: dict[str, list[Mapping[str, Any]]] = {}

    def write_manifest(self, index: int, requests: Iterable[CopyRequest]) -> str:
        """Keep what a batch is to copy."""
        self.manifests[index] = list(requests)
        return f"{self.path}/manifest/{index:05d}.jsonl"

    def write_ledger(self, part: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep one part of the ledger."""
        self.ledger[part] = list(rows)

    @property
    def to_copy(self) -> list[CopyRequest]:
        """The requests of all manifests, in order."""
        return [request for index in sorted(self.manifests) for request in self.manifests[index]]


def listed(key: str, size: int = 5, etag: str = "etag") -> ListedObject:
    """Return a line of the source's listing."""
    return ListedObject(key, size, etag, UPLOADED)


def copied(size: int = 5, etag: str = "etag", blob_etag: str = '"blob"') -> BlobState:
    """Return a blob of ours in the destination's listing."""
    return BlobState(blob_etag, size, LATER, SourceRecord(etag, size))


def plan(
    objects: Iterable[ListedObject],
    blobs: Mapping[str, BlobState] | None = None,
    *,
    selection: Selection | None = None,
    naming: Naming | None = None,
    **options: Any,
) -> tuple[Plan, MemoryFolder]:
    """Make a plan in memory."""
    folder = MemoryFolder()
    made = make_plan(
        objects,
        (blobs or {}).items(),
        PlanOptions(selection or Selection(), naming or Naming(), **options),
        cast("PlanFolder", folder),
    )
    return made, folder


keys = st.text("ab/.\\\n", min_size=1, max_size=6)
states = st.none() | st.builds(copied, etag=st.sampled_from(["etag", "old"])) | st.just(BlobState('"x"', 5, LATER))


@given(
    found=st.dictionaries(keys, st.tuples(st.integers(0, 9), states), max_size=20),
    batch_objects=st.integers(1, 5),
    overwrite=st.booleans(),
)
def test_every_selected_key_is_planned_once(
    found: dict[str, tuple[int, BlobState | None]], batch_objects: int, *, overwrite: bool
) -> None:
    """It is in one batch's manifest, or in the plan's part of the ledger, and in no other place."""
    objects = [listed(key, size) for key, (size, _) in sorted(found.items())]
    blobs = {key: state for key, (_, state) in found.items() if state is not None}
    selection = Selection(exclude=["a*"])

    made, folder = plan(objects, blobs, selection=selection, batch_objects=batch_objects, overwrite=overwrite)

    planned = [request.key for request in folder.to_copy] + [row["key"] for row in folder.ledger["plan"]]
    assert sorted(planned) == sorted(item.key for item in objects if item in selection)
    assert made.objects == len(planned)


def test_a_missing_blob_is_to_be_copied() -> None:
    """The request says what both listings said."""
    _, folder = plan([listed("a")])

    assert folder.manifests == {0: [CopyRequest("a", "a", size=5, etag="etag", precondition=Precondition(None))]}


def test_a_changed_blob_is_to_be_replaced() -> None:
    """On condition that it is the one that was listed."""
    _, folder = plan([listed("a")], {"a": copied(etag="old")})

    assert folder.manifests == {0: [CopyRequest("a", "a", size=5, etag="etag", precondition=Precondition('"blob"'))]}


def test_unchanged_objects_make_no_batch() -> None:
    """A second sync over the same objects moves nothing, and says so for each key."""
    made, folder = plan([listed("a"), listed("b")], {"a": copied(), "b": copied()})

    assert (made.batches, made.counts, made.size) == ([], {"copy": 0, "unchanged": 2, "skipped": 0}, 0)
    assert [(row["key"], row["status"], row["blob_etag"]) for row in folder.ledger["plan"]] == [
        ("a", "unchanged", '"blob"'),
        ("b", "unchanged", '"blob"'),
    ]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (listed("a/", size=0), "it only stands for a folder"),
        (listed("a/"), "a blob name cannot end with '/'"),
        (listed("a."), "a blob name cannot end with '.'"),
        (listed("a\\b"), "Azure turns a backslash in a blob name into a slash"),
    ],
)
def test_a_key_that_cannot_be_a_blob_is_skipped_with_its_reason(item: ListedObject, reason: str) -> None:
    """It is in the ledger, so that no key is lost silently."""
    made, folder = plan([item])

    assert made.counts == {"copy": 0, "unchanged": 0, "skipped": 1}
    assert [(row["key"], row["status"], row["reason"]) for row in folder.ledger["plan"]] == [
        (item.key, "skipped", reason)
    ]


def test_a_different_blob_is_skipped_without_overwrite() -> None:
    """It is in the ledger with the blob that was left alone."""
    _, folder = plan([listed("a")], {"a": copied(etag="old")}, overwrite=False)

    assert [(row["status"], row["reason"], row["blob_etag"]) for row in folder.ledger["plan"]] == [
        ("skipped", "the object, or the blob, changed since it was copied, but overwrite is off", '"blob"')
    ]


def test_what_is_not_selected_is_not_in_the_plan() -> None:
    """It counts nowhere."""
    made, folder = plan([listed("a.csv"), listed("b.json")], selection=Selection(include=["*.csv"]))

    assert made.objects == 1
    assert [request.key for request in folder.to_copy] == ["a.csv"]


def test_blobs_are_looked_up_under_their_new_names() -> None:
    """The comparison is with the blob that the key becomes."""
    naming = Naming(blob_prefix="in/", strip_prefix="out/")

    made, _ = plan([listed("out/a")], {"in/a": copied()}, naming=naming)

    assert made.counts["unchanged"] == 1


def test_a_key_outside_the_stripped_prefix_ends_the_plan() -> None:
    """The arguments contradict each other."""
    with pytest.raises(ConfigurationError, match="does not begin with strip_prefix"):
        plan([listed("a")], naming=Naming(strip_prefix="b/"))


def test_blobs_without_an_object_are_left_alone() -> None:
    """A sync copies; it deletes nothing."""
    made, folder = plan([], {"extra": copied()})

    assert (made.objects, made.batches, folder.ledger) == (0, [], {"plan": []})


def test_a_plan_adds_up() -> None:
    """Its counts and bytes are those of its batches and its ledger."""
    objects = [listed("a", 10), listed("b", 20), listed("c"), listed("d/", 0)]

    made, folder = plan(objects, {"c": copied()}, batch_objects=1)

    assert made.as_json() == {
        "folder": folder.path,
        "objects": 4,
        "counts": {"copy": 2, "unchanged": 1, "skipped": 1},
        "size": 30,
        "batches": 2,
    }


def test_each_batch_has_a_reference() -> None:
    """It names the manifest's folder and number, what is in it, and how much."""
    made, folder = plan([listed("a", 3 * MIB), listed("b", 5 * MIB)], batch_objects=1)

    assert made.batches == [
        BatchReference(folder.path, 0, "a (3.0 MiB)", objects=1, size=3 * MIB),
        BatchReference(folder.path, 1, "b (5.0 MiB)", objects=1, size=5 * MIB),
    ]


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (["a/b/1"], "a/b/1 (1.0 MiB)"),
        (["a/b/1", "a/b/2"], "a/b/ (2 objects, 2.0 MiB)"),
        (["a/b/1", "a/c/1"], "a/ (2 objects, 2.0 MiB)"),
        (["a/b", "a/b/c"], "a/ (2 objects, 2.0 MiB)"),
        (["a/b1/x", "a/b2/x"], "a/ (2 objects, 2.0 MiB)"),
        (["a", "b"], "a … b (2 objects, 2.0 MiB)"),
        (["abc", "abd"], "abc … abd (2 objects, 2.0 MiB)"),
    ],
)
def test_a_batch_is_called_by_what_its_keys_share(names: list[str], label: str) -> None:
    """One key by its name, several by their folder."""
    made, _ = plan([listed(name, MIB) for name in names])

    assert [reference.label for reference in made.batches] == [label]


def test_a_reference_survives_xcom() -> None:
    """It is small, and JSON gives it back."""
    reference = BatchReference("folder", 7, "a/ (2 objects, 5 B)", objects=2, size=5)

    found = BatchReference.from_json(json.loads(json.dumps(reference.as_json())))

    assert found == reference


def test_a_part_of_the_ledger_sorts_by_its_number() -> None:
    """Five digits hold any map."""
    assert BatchReference("folder", 7, "label", objects=1, size=1).part == "00007"
