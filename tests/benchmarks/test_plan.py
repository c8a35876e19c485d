"""The benchmark of planning: its listings are as described, and it can fail."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.sync.blob_page import read_blobs
from airflow_s3_azure.sync.object_page import read_objects
from benchmarks.plan import names, plan, process
from benchmarks.plan_results import (
    BY_BYTES,
    HIERARCHICAL,
    IN_RANGES,
    KEY_LIST,
    MAX_PEAK,
    SERIALLY,
    UNCHANGED,
    Measured,
    judge,
    sections,
)
from benchmarks.plan_server import FOLDER, OBJECTS_PER_PAGE, Names, blob_page, object_page, serve

COUNT = 5 * FOLDER


@pytest.mark.parametrize("hierarchical", [False, True])
def test_the_listings_come_in_the_requested_order(*, hierarchical: bool) -> None:
    """By the names' bytes, or with the slash as the smallest character; and the two differ."""
    found = [name for _, name in names(COUNT, hierarchical=hierarchical)]

    assert found == sorted(found, key=lambda name: name.replace("/", "\0") if hierarchical else name)
    assert found != [name for _, name in names(COUNT, hierarchical=not hierarchical)]
    assert len(set(found)) == COUNT
    assert 50 <= sum(map(len, found)) / COUNT <= 70


def test_half_of_the_keys_are_unchanged_and_a_quarter_missing() -> None:
    """There are as many blobs as keys."""
    keys = Names(COUNT, hierarchical=False)
    pages = [read_objects(object_page(keys, start)) for start in range(0, COUNT, OBJECTS_PER_PAGE)]
    source = {one.key: one for page in pages for one in page.entries}
    destination = dict(read_blobs(blob_page(Names(COUNT, hierarchical=False, is_blobs=True), 0)).entries)
    both = source.keys() & destination.keys()

    assert len(source) == len(destination) == COUNT
    assert len(both) == COUNT * 3 // 4
    records = {key: state.record for key, state in destination.items() if state.record is not None}
    same = [key for key in both if records[key].is_same_content(source[key].etag, source[key].size)]
    assert len(same) == COUNT // 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "order"),
    [
        (4_000, BY_BYTES),
        (6_000, UNCHANGED),
        (60_000, HIERARCHICAL),
        (30_000, SERIALLY),
        (30_000, IN_RANGES),
        (60_000, KEY_LIST),
    ],
)
def test_a_plan_is_made_through_the_server(*, count: int, order: str) -> None:
    """Also one whose listings are larger than one sorted run; serially in as many requests as there are pages."""
    with process(serve) as port:
        url = f"http://127.0.0.1:{port.recv()}"
        made, pages = plan(count, url, order)

    assert pages == 30 + 6 + 1 or order != SERIALLY  # and one to leave out the records
    to_copy = 0 if order == UNCHANGED else count // 2
    assert made.counts == {"copy": to_copy, "unchanged": count - to_copy, "skipped": 0}


@pytest.mark.parametrize(
    ("peak", "cpu", "holds"),
    [(MAX_PEAK, 15.0, True), (MAX_PEAK + 1, 10.0, False), (0, 15.1, False)],
    ids=["at the bounds", "too much memory", "too much time"],
)
def test_a_broken_bound_is_reported(*, peak: int, cpu: float, holds: bool) -> None:
    """The plan that is sorted first has a bound on its memory, and none on its time."""
    found, verdict = judge(
        [
            Measured(100, BY_BYTES, 0, 1.0, 1.0),
            Measured(1_000, BY_BYTES, peak, cpu, 1.0),
            Measured(100, HIERARCHICAL, 0, 99.0, 99.0),
        ]
    )

    assert found is holds
    assert ("A BOUND IS BROKEN" in verdict) is not holds


def test_the_tables_have_each_plan_once() -> None:
    """Those with a latency are a table of their own, with what was noted on them."""
    plans = [
        Measured(100_000, BY_BYTES, 100 * MIB, 5.0, 6.0, 128),
        Measured(1_000_000, SERIALLY, 50 * MIB, 40.0, 120.0, 1_200),
        Measured(1_000_000, IN_RANGES, 150 * MIB, 40.0, 45.0, 1_230),
    ]

    found = sections(plans, ["A note."])

    assert found.keys() == {"plans", "slow-pages"}
    row = "| half unchanged, a quarter changed, a quarter new | 100,000 | 50 | 20,000 | 6.0 | 100 | 128 |"
    assert found["plans"].splitlines()[2:4] == [row, ""]
    assert [line.split(" | ")[4] for line in found["slow-pages"].splitlines()[2:4]] == ["120.0", "45.0"]
    assert "A note." in found["slow-pages"].splitlines()
    assert sections(plans[:1], []).keys() == {"plans"}
