"""Plans from lists of keys, in memory: the same for any order and length of the list, in bounded memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationConflict, PlanError
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.sync import sort
from airflow_s3_azure.sync.keys import key_listings
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.key_listings import KeyListings, unique
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Plan, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.fakes.memory import FakeAzure, FakeS3, stored
from tests.fakes.memory_container import MemoryContainer
from tests.sync.plans import BUCKET, PATH

MIB = 1024 * 1024
keys = st.text("ab/-", min_size=1, max_size=4)


class Blobs(FakeAzure):
    """A container in memory that is listed in order, and counts its HEADs."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.heads: list[str] = []
        for name in names:
            record = SourceRecord("e", 5, identity=str(CopyIdentity(BUCKET, name, name)))
            self.add(name, b"12345", record.as_metadata())

    def head(self, blob: str) -> BlobState | None:
        """Describe a committed blob."""
        self.heads.append(blob)
        return super().head(blob)

    def listed(self, container: object, prefix: str, **_: object) -> Iterator[tuple[str, BlobState]]:
        """Yield the blobs under a prefix."""
        assert container is self
        self.prefix = prefix
        return iter([(name, self.blobs[name].state) for name in sorted(self.blobs) if name.startswith(prefix)])


def plan_of(
    entries: list[KeyEntry],
    blobs: FakeAzure | None = None,
    *,
    source: FakeS3 | None = None,
    naming: Naming | None = None,
) -> tuple[Plan, MemoryContainer]:
    """Return the plan of a list of keys, and the container with its files."""
    container = MemoryContainer()
    folder = PlanFolder(container.as_client(), PATH)
    options = PlanOptions(Selection(), naming or Naming(), bucket=BUCKET)
    listings = KeyListings(
        lambda: iter(entries),
        options,
        folder,
        source=cast("Any", source or FakeS3({})),
        container=cast("Any", blobs or Blobs()),
        cancellation=Cancellation(),
        threads=3,
    ).listings()
    return make_plan(*listings, options, folder), container


@settings(max_examples=40, deadline=None)
@given(entries=st.lists(keys, max_size=12), blobs=st.lists(keys, max_size=5), data=st.data(), rename=st.booleans())
def test_the_plan_is_the_same_for_any_order_and_length_of_the_list(
    entries: list[str], blobs: list[str], data: st.DataObject, *, rename: bool
) -> None:
    """To the byte, with keys that are there twice; an external sort leaves nothing behind."""
    listed = [KeyEntry(key, size=5, etag="e") for key in entries]
    naming = Naming(rename=rename)
    short = plan_of(sorted(listed, key=lambda one: one.key), Blobs(*blobs), naming=naming)

    with pytest.MonkeyPatch.context() as patch:
        # pytest's own fixture is made once for all examples.
        patch.setattr(key_listings, "SHORT_LIST", 2)
        patch.setattr(sort.in_order, "__kwdefaults__", {"segment_length": 3, "max_segments": 2})
        container = Blobs(*blobs)
        patch.setattr(key_listings, "list_blobs", container.listed)
        long = plan_of(data.draw(st.permutations(listed)), container, naming=naming)

    assert long[0] == short[0]
    assert long[1].blobs == short[1].blobs


def test_a_short_list_asks_for_its_blobs_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a HEAD each; a name that no blob can have gets none."""
    monkeypatch.delattr(key_listings, "list_blobs")
    blobs = Blobs("a", "other")

    plan, _ = plan_of([KeyEntry(key, size=5, etag="e") for key in ("a", "b", "../up")], blobs)

    assert plan.counts == {"copy": 1, "unchanged": 1, "skipped": 1}
    assert sorted(blobs.heads) == ["a", "b"]


def test_a_long_list_lists_the_prefix_that_its_keys_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the container."""
    monkeypatch.setattr(key_listings, "SHORT_LIST", 1)
    blobs = Blobs("in/a/1")
    monkeypatch.setattr(key_listings, "list_blobs", blobs.listed)

    plan, _ = plan_of([KeyEntry(f"a/{n}", size=5, etag="e") for n in (2, 1)], blobs, naming=Naming(blob_prefix="in/"))

    assert plan.counts == {"copy": 2, "unchanged": 0, "skipped": 0}
    assert (blobs.prefix, blobs.heads) == ("in/a/", [])


def test_the_last_entry_of_a_key_counts() -> None:
    """The ETag of an event that came later is the newer one."""
    entries = [KeyEntry("a", size=1, etag="1"), KeyEntry("a", size=2, etag="2"), KeyEntry("b", size=3, etag="3")]

    assert list(unique(entries)) == entries[1:]


@pytest.mark.parametrize("versions", [("v1", "v2"), (None, "v2"), ("v1", None)])
def test_two_versions_of_a_key_are_refused(versions: tuple[str | None, str | None]) -> None:
    """They would be one blob."""
    with pytest.raises(PlanError, match="the key list has two versions of key 'a'"):
        plan_of([KeyEntry("a", one, 1, "e") for one in versions])


def test_a_key_without_a_size_is_looked_up_and_a_missing_one_skipped() -> None:
    """The plan has sizes, for its budget and its batches."""
    plan, _ = plan_of([KeyEntry("a"), KeyEntry("gone")], source=FakeS3({"a": stored(b"123")}))

    assert (plan.counts, plan.size) == ({"copy": 1, "unchanged": 0, "skipped": 1}, 3)


def test_a_directory_of_the_name_is_no_blob() -> None:
    """The plan counts the conflict, as it does with a listing; the copy fails, with its name."""

    class Directories(Blobs):
        def head(self, blob: str) -> BlobState | None:
            raise DestinationConflict("a directory has this name", blob=blob)

    plan, _ = plan_of([KeyEntry("a", size=5, etag="e")], Directories())

    assert plan.counts["copy"] == 1
    assert plan.conflicts.as_json() == {"directory": {"objects": 1, "keys": ["a"]}}


@pytest.mark.slow
@pytest.mark.parametrize("is_sorted", [True, False])
def test_a_long_list_takes_little_memory(monkeypatch: pytest.MonkeyPatch, *, is_sorted: bool) -> None:
    """Of 30,000 entries, those of one segment of the sort are in memory."""
    monkeypatch.setattr(key_listings, "SHORT_LIST", 100)
    monkeypatch.setattr(key_listings, "list_blobs", Blobs().listed)
    monkeypatch.setattr(sort.in_order, "__kwdefaults__", {"segment_length": 1000, "max_segments": 64})
    numbers = range(30_000) if is_sorted else range(30_000, 0, -1)
    found = KeyListings(
        lambda: (KeyEntry(f"a/{number:06d}", size=5, etag="e") for number in numbers),
        PlanOptions(Selection(), Naming(), bucket=BUCKET),
        PlanFolder(MemoryContainer().as_client(), PATH),
        source=cast("Any", FakeS3({})),
        container=cast("Any", Blobs()),
        cancellation=Cancellation(),
        threads=3,
    )
    tracemalloc.start()
    try:
        source, _ = found.listings()
        assert sum(1 for _ in source.open()) == 30_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < (8 if is_sorted else 24) * MIB
