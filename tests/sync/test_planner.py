"""The plan: every selected key is settled or to be copied, once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, ConfigurationError, PlanError
from airflow_s3_azure.engine.model import BlobState, CopyRequest, Precondition
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.sync import sort
from airflow_s3_azure.sync.budget import Budget
from airflow_s3_azure.sync.fingerprint import digest_text
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.listing import list_blobs
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.overlaps import check_prefixes
from airflow_s3_azure.sync.planner import Listing, Plan, PlanOptions, make_plan
from airflow_s3_azure.sync.references import BatchReference, joined_batches
from airflow_s3_azure.sync.select import Selection
from tests.fakes.memory_container import MemoryContainer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

UPLOADED = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = UPLOADED + timedelta(hours=1)
MIB = 1024**2
BUCKET = "bucket"
PATH = "_s3_to_azure/dag/run/group/time"
RESERVED_KEYS = ["_s3_to_azure/dag/x", "/_s3_to_azure/dag/x", "_S3_TO_AZURE/dag/x", "%5fs3_to_azure/dag/x"]
RESERVED_REASON = "_s3_to_azure/ is where manifests and ledgers are; copy it under a blob_prefix"


class Made:
    """A plan, and what it wrote into a container in memory."""

    def __init__(
        self,
        objects: Sequence[ListedObject],
        blobs: Sequence[tuple[str, BlobState]],
        options: PlanOptions,
        *,
        are_sorted: tuple[bool, bool] = (True, True),
        cancellation: Cancellation | None = None,
    ) -> None:
        self.container = MemoryContainer()
        self.folder = PlanFolder(self.container.as_client(), PATH)
        self.listed = {"source": 0, "destination": 0}
        self.plan: Plan = make_plan(
            Listing(self._listing("source", objects), are_sorted[0]),
            Listing(self._listing("destination", blobs), are_sorted[1]),
            options,
            self.folder,
            cancellation,
        )

    def _listing(self, side: str, entries: Sequence[Any]) -> Callable[[], Iterator[Any]]:
        def begin() -> Iterator[Any]:
            self.listed[side] += 1
            return iter(entries)

        return begin

    @property
    def batches(self) -> list[list[CopyRequest]]:
        """What each batch is to copy."""
        return [list(self.folder.read_manifest(one)) for one in self.plan.batches]

    @property
    def to_copy(self) -> list[CopyRequest]:
        """The requests of all batches, in order."""
        return [request for batch in self.batches for request in batch]

    @property
    def settled(self) -> list[dict[str, Any]]:
        """The plan's part of the ledger."""
        return list(self.folder.read_ledger("plan", self.plan.needs_no_copy))

    @property
    def deletions(self) -> list[str]:
        """The blobs that are to be deleted."""
        return [row["blob"] for row in self.deletion_rows]

    @property
    def deletion_rows(self) -> list[Mapping[str, Any]]:
        """The list of blobs to delete."""
        assert self.plan.deletions is not None
        return list(self.folder.read_deletions(self.plan.deletions, ""))

    @property
    def statuses(self) -> dict[str, str]:
        """What was settled of each key, and which keys are to be copied."""
        return {row["key"]: row["status"] for row in self.settled} | {one.key: "copy" for one in self.to_copy}


def listed(key: str, size: int = 5, etag: str = "etag", modified: datetime = UPLOADED) -> ListedObject:
    """Return a line of the source's listing."""
    return ListedObject(key, size, etag, modified)


def copied(size: int = 5, etag: str = "etag", blob_etag: str = '"blob"') -> BlobState:
    """Return a blob of ours in the destination's listing."""
    return BlobState(blob_etag, size, LATER, SourceRecord(etag, size))


def owned(name: str, state: BlobState) -> BlobState:
    """Return a blob of ours with a record that names its object, of the same name, and the blob."""
    if state.record is None or state.record.identity is not None:
        return state
    return replace(state, record=replace(state.record, identity=str(CopyIdentity(BUCKET, name, name))))


THEIRS = BlobState('"theirs"', 5, LATER)


def plan(
    objects: Iterable[ListedObject],
    blobs: Mapping[str, BlobState] | None = None,
    *,
    selection: Selection | None = None,
    naming: Naming | None = None,
    **options: Any,
) -> Made:
    """Make a plan in memory of listings that come in order; of a mirror, the blobs' records name their objects."""
    found = {name: owned(name, state) if options.get("delete") else state for name, state in (blobs or {}).items()}
    options.setdefault("bucket", BUCKET)
    return Made(
        sorted(objects, key=lambda one: one.key),
        sorted(found.items()),
        PlanOptions(selection or Selection(), naming or Naming(), **options),
    )


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
def test_the_plan_is_the_same_in_whatever_order_the_listings_come(
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


@pytest.mark.parametrize(("side", "others"), [("source", "destination"), ("destination", "source")])
def test_a_listing_that_turns_out_to_be_out_of_order_is_read_again(
    side: str, others: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says which."""
    caplog.set_level(logging.INFO)
    entries: dict[str, list[str]] = {side: ["a/b", "a-b"], others: ["a-b", "a/b"]}

    made = Made(
        [listed(key) for key in entries["source"]],
        [(name, copied()) for name in entries["destination"]],
        PlanOptions(Selection(), Naming()),
    )

    assert made.plan.counts == {"copy": 0, "unchanged": 2, "skipped": 0}
    assert made.listed == {"source": 2, "destination": 2}
    assert f"the {side} listing is not sorted by name: listing again with an external sort" in caplog.messages


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
    """Only what stands for a folder is still skipped."""
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
    """No manifest that somebody could copy from, and nothing of the sorting."""
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
    assert sorted(made.container.blobs) == [f"{PATH}/ledger/plan.jsonl", f"{PATH}/manifest.jsonl"]


def test_a_mirror_writes_down_the_blobs_whose_key_is_gone() -> None:
    """With what must still hold of them when they are deleted."""
    made = plan([listed("a")], {"a": copied(), "b": copied(7, "old", '"b"')}, delete=True, budget=Budget(max_delete=1))

    assert (made.plan.orphaned, made.plan.delete_refused) == (1, None)
    assert made.deletion_rows == [{"blob": "b", "size": 7, "blob_etag": '"b"', "last_modified": LATER.isoformat()}]


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
    """That is more likely a mistake than a wish, whatever may be deleted."""
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


@pytest.mark.parametrize(
    ("budget", "error"),
    [
        (Budget(max_objects=1), "there are 2 objects to copy, but max_objects is 1; nothing was copied"),
        (Budget(max_bytes=9), r"there are 10 bytes \(10 B\) to copy, but max_bytes is 9; nothing was copied"),
        (Budget(max_objects=0), "there are 2 objects to copy, but max_objects is 0"),
    ],
)
def test_a_plan_beyond_its_budget_is_refused(budget: Budget, error: str) -> None:
    """What needs no copy costs nothing."""
    with pytest.raises(PlanError, match=error) as caught:
        plan([listed("a"), listed("b"), listed("c", 1000)], {"c": copied(1000)}, budget=budget)

    assert str(caught.value).endswith(f"The list is in https://account.example/container/{PATH}/manifest.jsonl")


def test_a_plan_within_its_budget_is_made() -> None:
    """The budget is an inclusive limit."""
    assert plan([listed("a"), listed("b")], budget=Budget(max_objects=2, max_bytes=10)).plan.objects == 2


def test_a_plan_adds_up() -> None:
    """Its counts and bytes are those of its batches and its ledger."""
    objects = [listed("a", 10), listed("b", 20), listed("c"), listed("d/", 0)]

    made = plan(objects, {"c": copied(), "e": copied()}, batch_objects=1, delete=True, budget=Budget(max_delete=0))

    assert made.plan.as_json() == {
        "folder": PATH,
        "objects": 4,
        "counts": {"copy": 2, "unchanged": 1, "skipped": 1},
        "size": 30,
        "batches": 2,
        "extra": 1,
        "extra_sample": made.plan.orphaned_sample,
        "delete_refused": made.plan.delete_refused,
        "manifest": made.plan.manifest.as_json(),
        "settled": made.plan.needs_no_copy.as_json(),
        "deletions": made.plan.deletions.as_json() if made.plan.deletions else None,
    }


def test_each_batch_has_a_reference() -> None:
    """It says which lines of the manifest are its own, what is in it, and how much."""
    made = plan([listed("a", 3 * MIB), listed("b", 5 * MIB)], batch_objects=1)

    manifest, etag = made.container.blobs[f"{PATH}/manifest.jsonl"], made.plan.manifest.etag
    middle, end = manifest.index(b"\n") + 1, len(manifest)
    digests = [digest_text(sha256(lines)) for lines in (manifest[:middle], manifest[middle:])]
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
def test_a_batch_is_called_by_what_its_keys_share(names: list[str], label: str) -> None:
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
    reference = BatchReference("folder", 7, "a/", 2, 5, 100, 300, "a/", '"etag"', ranges)

    row = json.loads(json.dumps(reference.as_json()))

    assert BatchReference.from_json(row) == reference
    assert row["label"] == "a/ (2 objects, 5 B)"
    with pytest.raises(PlanError, match="an earlier version of airflow-s3-azure made the plan; clear the plan task"):
        BatchReference.from_json({name: value for name, value in row.items() if name != "etag"})


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
def test_joined_batches_are_called_by_what_both_are_about(one: str, other: str, label: str) -> None:
    """The folder that they share, or the first and the last of them."""
    (found,) = joined_batches([reference(0, one), reference(1, other)], 1)

    assert found.what == label


def test_batches_of_one_plan_beside_others_are_not_joined_over_a_gap() -> None:
    """Only what follows in the manifest is one range of it."""
    apart = [reference(0, "a"), reference(2, "c")]

    with pytest.raises(PlanError, match="2 plans have something to copy"):
        joined_batches(apart, 1)


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
    """Whatever lies between them."""
    overlap = any(one.startswith(other) for i, one in enumerate(prefixes) for j, other in enumerate(prefixes) if i != j)
    try:
        check_prefixes(prefixes)
    except PlanError:
        refused = True
    else:
        refused = False

    assert refused is overlap


def test_the_batches_follow_each_other() -> None:
    """In the order of the manifest, and about equally large."""
    batches = plan([listed(f"{number:06}", 0) for number in range(2_990)], batch_objects=100).batches

    assert {len(batch) for batch in batches} <= {99, 100}
    assert all(one[-1].key < other[0].key for one, other in pairwise(batches))


@pytest.mark.servers
def test_the_directories_of_a_hierarchical_account_are_no_blobs(container: ContainerClient) -> None:
    """Such an account lists them beside what is in them, marked in their metadata, in whatever case."""
    container.upload_blob("a", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob("a/b", b"b")
    container.upload_blob("c", b"", metadata={"Hdi_isfolder": "true"})
    container.upload_blob("d", b"", metadata={"hdi_isfolder": "false"})

    assert [name for name, _ in list_blobs(container)] == ["a/b", "d"]
