"""References to batches: their labels, their form in XCom, and how those of several plans are joined."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.sync.fingerprint import range_digest_text
from airflow_s3_azure.sync.references import BatchReference, joined_batches
from tests.sync.plans import PATH, listed, plan

MIB = 1024**2


def test_each_batch_has_a_reference() -> None:
    """With its range of the manifest, its label, its objects and its bytes."""
    made = plan([listed("a", 3 * MIB), listed("b", 5 * MIB)], batch_objects=1)

    manifest, etag = made.container.blobs[f"{PATH}/manifest.jsonl"], made.plan.manifest.etag
    middle, end = manifest.index(b"\n") + 1, len(manifest)
    digests = [range_digest_text(sha256(lines)) for lines in (manifest[:middle], manifest[middle:])]
    assert made.plan.batches == [
        BatchReference(PATH, 0, "a", 1, 3 * MIB, 0, middle, "", etag, ((middle, 1, digests[0]),)),
        BatchReference(PATH, 1, "b", 1, 5 * MIB, middle, end, "", etag, ((end, 1, digests[1]),)),
    ]
    assert [[one.key for one in batch] for batch in made.batches] == [["a"], ["b"]]


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
        (["a" + "b" * 600 + "/c"], f"a{'b' * 98}…{'b' * 98}/c (1.0 MiB)"),
        (["a\u202e::group::/1", "a\u202e::group::/2"], r"a\u202e:\x3agroup::/ (2 objects, 2.0 MiB)"),
    ],
)
def test_the_label_of_a_batch_is_what_its_keys_share(names: list[str], label: str) -> None:
    """One key by its name, several by their folder."""
    made = plan([listed(name, MIB) for name in names])

    assert [reference.label for reference in made.plan.batches] == [label]


@given(
    found=st.lists(st.text("ab/", min_size=1, max_size=3), min_size=1, max_size=4, unique=True),
    times=st.integers(1, 400),
)
def test_a_label_fits_the_database(found: list[str], times: int) -> None:
    """Airflow's takes 250 characters."""
    made = plan(
        [listed("long/" * 5 + key * times, 2000 * MIB) for key in found], batch_objects=10**9, batch_size=10**18
    )

    assert all(len(reference.label) <= 250 for reference in made.plan.batches)


def test_a_reference_survives_xcom() -> None:
    """It is small, and JSON gives it back."""
    ranges = ((200, 1, "digest"), (300, 1, "other"))
    reference = BatchReference("run/folder", 7, "a/", 2, 5, 100, 300, "a/", '"etag"', ranges)

    row = json.loads(json.dumps(reference.as_json("run")))

    assert BatchReference.from_json(row, "run") == reference
    with pytest.raises(PlanError, match="an earlier version of airflow-s3-azure made the plan; clear the plan task"):
        BatchReference.from_json({name: value for name, value in row.items() if name != "prefix"}, "")


@given(what=st.text(), prefix=st.sampled_from(["", "in/", "in"]))
def test_a_reference_is_relative_to_its_run(what: str, prefix: str) -> None:
    """The run is known where it is read, and what is copied begins with the prefix of all keys, or is escaped."""
    reference = BatchReference(
        "run/sync/20261101T020000Z-0", 7, prefix + what, 2, 5, 0, 9, prefix, '"1"', ((9, 2, "d"),)
    )

    row = reference.as_json("run")

    assert row["plan"] == "sync/20261101T020000Z-0"
    assert BatchReference.from_json(row, "run") == reference


def test_a_reference_of_an_earlier_version_is_read() -> None:
    """A run may have begun before the upgrade. References became shorter twice."""
    folder = "_s3_to_azure/dag/run/sync/20261101T020000Z-0"
    manifest: dict[str, Any] = {"start": 0, "prefix": "in/", "etag": '"1"', "ranges": [[9, 2, "d" * 32]]}
    first: dict[str, Any] = {
        "folder": folder,
        "index": 7,
        "what": "in/a/",
        "objects": 2,
        "size": 5,
        "stop": 9,
        "label": "in/a/ (2 objects, 5 B)",
        **manifest,
    }
    second: dict[str, Any] = {"plan": "sync/20261101T020000Z-0", "index": 7, "below": "a/", "size": 5, **manifest}

    found = [BatchReference.from_json(row, "_s3_to_azure/dag/run") for row in (first, second)]

    assert found == [BatchReference(folder, 7, "in/a/", 2, 5, 0, 9, "in/", '"1"', ((9, 2, "d" * 32),))] * 2
    assert found[0].label == first["label"]


def test_a_reference_is_small() -> None:
    """Each copy task reads those of all batches. Earlier versions took 487 bytes for this one, and must take twice as many."""
    run = "_s3_to_azure/s3_to_azure_nightly/scheduled__2026-11-27T02:00:00+00:00"
    what = "exports/region=eu-west-1/2026/batch-000123/"
    ranges = ((1_234_567, 8_000, "d" * 22),)
    reference = BatchReference(
        f"{run}/s3_to_azure/20261127T020000Z-{'0' * 16}",
        123,
        what,
        8_000,
        163_840_000,
        1_000_000,
        1_234_567,
        "exports/region=eu-west-1/",
        '"0x8DE2A0000000000"',
        ranges,
    )

    assert len(json.dumps(reference.as_json(run))) <= 487 // 2


def test_a_part_of_the_ledger_sorts_by_its_number() -> None:
    """Five digits hold any map."""
    assert reference(7, "a").part == "00007"


def reference(index: int, what: str, folder: str = "folder", objects: int = 1) -> BatchReference:
    """Return the reference to a batch of ten bytes of the manifest."""
    ranges = ((index * 10 + 10, objects, f"digest {index}"),)
    return BatchReference(folder, index, what, objects, objects * 100, index * 10, index * 10 + 10, "", '"1"', ranges)


@given(counts=st.lists(st.integers(0, 12), min_size=1, max_size=5), most=st.integers(1, 20))
def test_batches_of_several_plans_are_joined_within_their_plan(counts: list[int], most: int) -> None:
    """Together they are what they were; none is of two plans, and there are no more than allowed."""
    given_ = [reference(index, f"{index}", str(plan)) for plan, count in enumerate(counts) for index in range(count)]
    plans = len([count for count in counts if count])
    if plans > most:
        with pytest.raises(PlanError, match=f"{plans} plans have something to copy, but Airflow maps over {most}"):
            joined_batches(given_, most)
        return

    found = joined_batches(given_, most)

    assert len(found) == min(most, len(given_))
    assert sum(one.objects for one in found) == len(given_)
    assert sum(one.size for one in found) == 100 * len(given_)
    for plan_, count in enumerate(counts):
        own = [one for one in found if one.folder == str(plan_)]
        assert [0, *(one.stop for one in own)] == [*(one.start for one in own), count * 10]
        assert len({one.part for one in own}) == len(own)


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ("a/b/", "a/c/", "a/"),
        ("a/b/1", "a/b/2", "a/b/"),
        ("a/b/", "c/", "a/b/ … c/"),
        ("a/1 … b/2", "b/3", "a/1 … b/3"),
        ("a/1 … b/2", "a/9 … c/3", "a/1 … c/3"),
        ("a", "b … c", "a … c"),
    ],
)
def test_the_label_of_joined_batches_is_what_both_share(one: str, other: str, label: str) -> None:
    """The folder that they share, or the first and the last of them."""
    (found,) = joined_batches([reference(0, one), reference(1, other)], 1)

    assert found.what == label


def test_batches_of_one_plan_beside_others_are_not_joined_over_a_gap() -> None:
    """Only what follows in the manifest is one range of it."""
    apart = [reference(0, "a"), reference(2, "c")]

    with pytest.raises(PlanError, match="2 plans have something to copy"):
        joined_batches(apart, 1)
