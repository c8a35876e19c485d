"""The benchmark of planning: its listings are as described, and it can fail."""

from __future__ import annotations

import pytest

from benchmarks.plan import (
    BY_BYTES,
    FOLDER,
    HIERARCHICAL,
    MAX_PEAK,
    Measured,
    blobs,
    judge,
    names,
    objects,
    plan,
    process,
    serve,
)

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
    source = {one.key: one for one in objects(COUNT, hierarchical=False)}
    destination = dict(blobs(COUNT, hierarchical=False))
    both = source.keys() & destination.keys()

    assert len(source) == len(destination) == COUNT
    assert len(both) == COUNT * 3 // 4
    records = {key: state.record for key, state in destination.items() if state.record is not None}
    same = [key for key in both if records[key].is_same_content(source[key].etag, source[key].size)]
    assert len(same) == COUNT // 2


@pytest.mark.slow
@pytest.mark.parametrize(("count", "hierarchical"), [(4_000, False), (60_000, True)])
def test_a_plan_is_made_through_the_stand_in(*, count: int, hierarchical: bool) -> None:
    """Also one whose listings are larger than one sorted run."""
    with process(serve) as port:
        made = plan(count, f"http://127.0.0.1:{port.recv()}/account", hierarchical=hierarchical)

    assert made.counts == {"copy": count // 2, "unchanged": count // 2, "skipped": 0}


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
