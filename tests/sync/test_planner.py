"""The plan: every selected key needs no copy or is to be copied, once."""

from __future__ import annotations

import logging
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, ConfigurationError, PlanError
from airflow_s3_azure.engine.model import BlobState, CopyRequest, Precondition
from airflow_s3_azure.sync import sort
from airflow_s3_azure.sync.budget import Budget
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.fakes.memory_container import MemoryContainer
from tests.sync.plans import PATH, RESERVED_KEYS, THEIRS, Made, copied, listed, plan

RESERVED_REASON = "_s3_to_azure/ is where manifests and ledgers are; copy it under a blob_prefix"

keys = st.text("ab/.\\\n-", min_size=1, max_size=6)
states = st.none() | st.builds(copied, etag=st.sampled_from(["etag", "old"])) | st.just(THEIRS)


@given(
    found=st.dictionaries(keys, st.tuples(st.integers(0, 9), states), max_size=20),
    batch_objects=st.integers(1, 5),
    overwrite=st.booleans(),
)
def test_every_selected_key_is_planned_once(
    found: dict[str, tuple[int, BlobState | None]], batch_objects: int, *, overwrite: bool
) -> None:
    """It is in one batch's part of the manifest, or in the plan's part of the ledger, and in no other place."""
    objects = [listed(key, size) for key, (size, _) in found.items()]
    blobs = {key: state for key, (_, state) in found.items() if state is not None}
    selection = Selection(exclude=["a*"])

    made = plan(objects, blobs, selection=selection, batch_objects=batch_objects, overwrite=overwrite)

    planned = [request.key for request in made.to_copy] + [row["key"] for row in made.settled]
    assert sorted(planned) == sorted(item.key for item in objects if item in selection)
    assert made.plan.objects == len(planned)


@given(
    objects=st.dictionaries(keys, st.integers(0, 9), max_size=20).map(lambda found: list(found.items())),
    blobs=st.dictionaries(keys, states.filter(bool), max_size=20).map(lambda found: list(found.items())),
    data=st.data(),
    naming=st.sampled_from([Naming(), Naming(rename=True), Naming(template="{stem}/{key}")]),
    are_sorted=st.tuples(st.booleans(), st.booleans()),
    batch_objects=st.integers(1, 5),
)
def test_the_plan_is_the_same_for_any_order_of_the_listings(
    objects: list[tuple[str, int]],
    blobs: list[tuple[str, BlobState]],
    data: st.DataObject,
    naming: Naming,
    are_sorted: tuple[bool, bool],
    batch_objects: int,
) -> None:
    """To the byte: the same manifest, ledger, deletions and batches, and nothing else is left in the container."""
    options = PlanOptions(Selection(exclude=["b*"]), naming, delete=True, batch_objects=batch_objects)
    lines = [listed(key, size) for key, size in sorted(objects)]
    in_order = Made(lines, sorted(blobs, key=lambda entry: entry[0]), options)

    with pytest.MonkeyPatch.context() as patch:
        # pytest's own fixture is made once for all examples.
        patch.setattr(sort.in_order, "__kwdefaults__", {"segment_length": 3, "max_segments": 2})
        shuffled = Made(
            data.draw(st.permutations(lines)), data.draw(st.permutations(blobs)), options, are_sorted=are_sorted
        )

    assert shuffled.container.blobs == in_order.container.blobs
    assert shuffled.plan == in_order.plan


def test_a_listing_that_is_in_order_is_read_once() -> None:
    """And nothing is written down to sort it."""
    made = plan([listed("a"), listed("b")], {"a": copied(), "c": copied()})

    assert made.listed == {"source": 1, "destination": 1}


@pytest.mark.parametrize(("endpoint", "others"), [("source", "destination"), ("destination", "source")])
def test_a_listing_that_turns_out_to_be_out_of_order_is_read_again(
    endpoint: str, others: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which."""
    caplog.set_level(logging.INFO)
    entries: dict[str, list[str]] = {endpoint: ["a/b", "a-b"], others: ["a-b", "a/b"]}

    made = Made(
        [listed(key) for key in entries["source"]],
        [(name, copied()) for name in entries["destination"]],
        PlanOptions(Selection(), Naming()),
    )

    assert made.plan.counts == {"copy": 0, "unchanged": 2, "skipped": 0}
    assert made.listed == {"source": 2, "destination": 2}
    assert f"the {endpoint} listing is not sorted by name: listing again with an external sort" in caplog.messages


def test_a_listing_that_is_known_to_be_out_of_order_is_read_once() -> None:
    """Directory buckets list in an order of their own."""
    options = PlanOptions(Selection(), Naming())

    made = Made([listed("a/b"), listed("a-b")], [], options, are_sorted=(False, True))

    assert made.listed == {"source": 1, "destination": 1}
    assert [one.key for one in made.to_copy] == ["a-b", "a/b"]


@pytest.mark.parametrize("are_sorted", [(True, True), (False, False)], ids=["in order", "to be sorted"])
def test_a_plan_can_be_interrupted(are_sorted: tuple[bool, bool]) -> None:
    """Also while it sorts."""
    stop = Cancellation()
    stop.set("the task was killed")

    with pytest.raises(Cancelled, match="the task was killed"):
        Made([listed("a")], [], PlanOptions(Selection(), Naming()), are_sorted=are_sorted, cancellation=stop)


def test_a_missing_blob_is_to_be_copied() -> None:
    """The request has the values of both listings, and the reason."""
    made = plan([listed("a")])

    assert made.batches == [
        [CopyRequest("a", "a", size=5, etag="etag", precondition=Precondition(None), reason="there is no blob")]
    ]


def test_a_changed_blob_is_to_be_replaced() -> None:
    """On condition that it is the one that was listed."""
    made = plan([listed("a")], {"a": copied(etag="old")})

    (request,) = made.to_copy
    assert request.precondition == Precondition('"blob"')
    assert request.reason == "the object, or the blob, changed since it was copied"


def test_unchanged_objects_make_no_batch() -> None:
    """A second sync over the same objects moves nothing, and says so for each key."""
    made = plan([listed("a"), listed("b")], {"a": copied(), "b": copied()})

    assert (made.plan.batches, made.plan.size) == ([], 0)
    assert made.plan.counts == {"copy": 0, "unchanged": 2, "skipped": 0}
    assert [(row["key"], row["status"], row["blob_etag"]) for row in made.settled] == [
        ("a", "unchanged", '"blob"'),
        ("b", "unchanged", '"blob"'),
    ]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (listed("a/", size=0), "folder placeholder"),
        (listed("a/"), "a blob name cannot end with '/'"),
        (listed("a."), "a blob name cannot end with '.'"),
        (listed("a\\b"), "Azure turns a backslash in a blob name into a slash"),
        (listed("../finance/x"), "Azure resolves the path segments '.' and '..' in a blob name"),
        *((listed(key), RESERVED_REASON) for key in RESERVED_KEYS),
    ],
)
def test_a_key_that_cannot_be_a_blob_is_skipped_with_its_reason(item: ListedObject, reason: str) -> None:
    """It is in the ledger, so that no key is lost silently."""
    made = plan([item])

    assert made.plan.counts == {"copy": 0, "unchanged": 0, "skipped": 1}
    assert [(row["key"], row["status"], row["reason"]) for row in made.settled] == [(item.key, "skipped", reason)]


@pytest.mark.parametrize(
    ("key", "naming"),
    [
        ("azure/dag/x", Naming(blob_prefix="_s3_to_")),
        ("in/_s3_to_azure/dag/x", Naming(strip_prefix="in/")),
        ("in/_S3_to_azure/dag/x", Naming(blob_prefix="/", strip_prefix="in/")),
        ("_s3_to_azure", Naming(template="{name}/{last_modified:%Y}")),
        ("_s3_to_azure/dag/x", Naming(template="{key}")),
        ("_s3_to_azure/dag/x", Naming(rename=True)),
        ("_s3_to_azure\\dag\\x", Naming(rename=True)),
    ],
)
def test_no_naming_leads_below_the_reserved_prefix(key: str, naming: Naming) -> None:
    """The records of syncs are no place for data, however a name is made."""
    made = plan([listed(key)], naming=naming)

    assert [(row["key"], row["status"], row["reason"]) for row in made.settled] == [(key, "skipped", RESERVED_REASON)]


def test_a_key_that_cannot_be_a_blob_is_renamed_on_request() -> None:
    """Only folder placeholders are still skipped."""
    made = plan([listed("a."), listed("b/", size=0), listed("c/")], {"c%2F": copied()}, naming=Naming(rename=True))

    assert made.statuses == {"a.": "copy", "b/": "skipped", "c/": "unchanged"}
    assert [request.blob for request in made.to_copy] == ["a%2E"]


def test_a_different_blob_is_skipped_without_overwrite() -> None:
    """It is in the ledger with the blob that was left alone."""
    made = plan([listed("a")], {"a": copied(etag="old")}, overwrite=False)

    assert [(row["status"], row["reason"], row["blob_etag"]) for row in made.settled] == [
        ("skipped", "the object, or the blob, changed since it was copied, but overwrite is off", '"blob"')
    ]


@pytest.mark.parametrize(("compare", "status"), [("etag", "copy"), ("size", "unchanged"), ("always", "copy")])
def test_the_comparison_is_the_requested_one(compare: str, status: str) -> None:
    """A blob with another recorded ETag has the same size."""
    assert plan([listed("a")], {"a": copied(etag="old")}, compare=compare).statuses == {"a": status}


def test_what_is_not_selected_is_not_in_the_plan() -> None:
    """It counts nowhere."""
    made = plan([listed("a.csv"), listed("b.json")], selection=Selection(include=["*.csv"]))

    assert made.plan.objects == 1
    assert [request.key for request in made.to_copy] == ["a.csv"]


def test_blobs_are_compared_under_their_new_names() -> None:
    """The comparison is with the blob that the key becomes."""
    naming = Naming(blob_prefix="in/", strip_prefix="out/")

    assert plan([listed("out/a")], {"in/a": copied()}, naming=naming).plan.counts["unchanged"] == 1


def test_a_template_may_name_the_day() -> None:
    """Of the object's last change."""
    made = plan([listed("out/a.csv")], naming=Naming(template="{last_modified:%Y-%m-%d}/{stem}{extension}"))

    assert [request.blob for request in made.to_copy] == ["2026-11-01/a.csv"]


def test_a_key_outside_the_stripped_prefix_ends_the_plan() -> None:
    """The arguments contradict each other."""
    with pytest.raises(ConfigurationError, match="does not begin with strip_prefix"):
        plan([listed("a")], naming=Naming(strip_prefix="b/"))


@pytest.mark.parametrize("are_sorted", [(True, True), (False, True)])
def test_two_keys_for_one_blob_refuse_the_plan(are_sorted: tuple[bool, bool]) -> None:
    """One would replace the other, every night."""
    options = PlanOptions(Selection(), Naming(template="{name}"))

    with pytest.raises(PlanError, match="keys 'a/x' and 'b/x' would both become blob 'x'; nothing was copied"):
        Made([listed("a/x"), listed("a/y"), listed("b/x")], [], options, are_sorted=are_sorted)


def test_two_keys_for_one_blob_refuse_the_plan_also_if_one_is_copied_already() -> None:
    """It is a question of the names, and not of the blobs."""
    with pytest.raises(PlanError, match="would both become blob 'x'"):
        plan([listed("a/x"), listed("b/x", etag="other")], {"x": copied()}, naming=Naming(template="{name}"))


def test_a_refused_plan_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """No manifest from which a task could copy, and no sorted runs."""
    monkeypatch.setattr(sort.in_order, "__kwdefaults__", {"segment_length": 1, "max_segments": 2})
    container = MemoryContainer()
    entries = [listed("a/x"), listed("b/x"), listed("c/y"), listed("d/y")]

    with pytest.raises(PlanError):
        make_plan(
            Listing(lambda: iter(entries)),
            Listing(lambda: iter(())),
            PlanOptions(Selection(), Naming(template="{name}")),
            PlanFolder(container.as_client(), PATH),
        )

    assert container.blobs == {}


@pytest.mark.parametrize(
    ("other", "template"),
    [(listed("b/", size=0), "{stem}x"), (listed("b/x."), "{name}"), (listed("b/x.json"), "{stem}.")],
    ids=["a folder marker", "a refused name", "all refused"],
)
def test_keys_that_are_no_blobs_do_not_meet(other: ListedObject, template: str) -> None:
    """They are skipped, so nothing is replaced."""
    made = plan([listed("a/", size=0), listed("a/x."), other], naming=Naming(template=template))

    assert made.plan.objects == 3


def test_a_key_that_is_not_selected_meets_no_other() -> None:
    """It is not copied."""
    made = plan(
        [listed("a/x"), listed("b/x")],
        naming=Naming(template="{name}"),
        selection=Selection(exclude=["b/*"]),
        delete=True,
    )

    assert made.statuses == {"a/x": "copy"}


def test_blobs_without_an_object_are_left_alone() -> None:
    """A sync without delete neither deletes orphaned blobs nor counts them."""
    made = plan([], {"orphan": copied()})

    assert (made.plan.objects, made.plan.batches, made.plan.orphaned) == (0, [], 0)
    assert sorted(made.container.blobs) == [f"{PATH}/ledger/plan.jsonl.gz", f"{PATH}/manifest.jsonl"]


def test_a_plan_adds_up() -> None:
    """Its counts and bytes are those of its batches and its ledger."""
    objects = [listed("a", 10), listed("b", 20), listed("c"), listed("d/", 0)]

    made = plan(objects, {"c": copied(), "e": copied()}, batch_objects=1, delete=True, budget=Budget(max_delete=0))

    assert made.plan.as_json() == {
        "folder": PATH,
        "objects": 4,
        "counts": {"copy": 2, "unchanged": 1, "skipped": 1},
        "archived": {"objects": 0, "size": 0},
        "conflicts": {},
        "replaced_archived": 0,
        "size": 30,
        "batches": 2,
        "extra": 1,
        "extra_sample": made.plan.orphaned_sample,
        "delete_refused": made.plan.delete_refused,
        "manifest": made.plan.manifest.as_json(),
        "settled": made.plan.needs_no_copy.as_json(),
        "deletions": made.plan.deletions.as_json() if made.plan.deletions else None,
    }


def test_archived_objects_are_skipped_only_where_they_would_be_copied() -> None:
    """An unchanged copy needs no restore, nor does one that is compared with what S3 stored, nor a restored object."""
    objects = [replace(listed(key, 5), storage_class="GLACIER") for key in ("new", "other", "same")]
    objects += [replace(listed("done"), storage_class="GLACIER", restore="done")]
    objects += [replace(listed("ongoing"), storage_class="GLACIER", restore="ongoing")]
    blobs = {"same": copied(5), "other": THEIRS}

    made = plan(objects, blobs, compare="checksum", archived="skip")

    assert [(one.key, one.adopt) for one in made.to_copy] == [("done", False), ("other", True)]
    assert {row["key"]: (row["status"], row["archived"], row["reason"]) for row in made.settled} == {
        "new": ("skipped", True, "archived in storage class GLACIER"),
        "ongoing": ("skipped", True, "archived in storage class GLACIER, and being restored"),
        "same": ("unchanged", False, "same ETag and size as recorded on the blob"),
    }
    assert made.plan.archived == (2, 10)


def test_the_batches_follow_each_other() -> None:
    """In the order of the manifest, and about equally large."""
    batches = plan([listed(f"{number:06}", 0) for number in range(2_990)], batch_objects=100).batches

    assert {len(batch) for batch in batches} <= {99, 100}
    assert all(one[-1].key < other[0].key for one, other in pairwise(batches))
