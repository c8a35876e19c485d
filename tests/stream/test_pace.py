"""How much is done at once follows what the process is kept waiting by."""

from __future__ import annotations

import pytest

from airflow_s3_azure.stream.pace import Pace


class Load:
    """A clock, and a processor that was busy for a share of the time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.computed = 7.0
        self.pace = Pace(8, clock=lambda: self.now, cpu=lambda: self.computed)

    def for_a_while(self, share: float) -> bool:
        """Let time pass with this share of a core used, and the pace look."""
        self.now += 0.02
        self.computed += 0.02 * share
        return self.pace.adjust()


def test_it_begins_with_one_small_object_and_no_reading_ahead() -> None:
    """Nothing is known yet."""
    pace = Load().pace

    assert (pace.limit, pace.is_idle) == (1, False)


def test_a_process_that_waits_for_the_network_soon_does_all_that_it_may() -> None:
    """Behind a round trip of 40 ms two looks suffice, and then nobody is woken any more."""
    load = Load()

    assert [load.for_a_while(0.02), load.for_a_while(0.1), load.for_a_while(0.1)] == [True, False, False]
    assert (load.pace.limit, load.pace.is_idle) == (8, True)


def test_more_are_allowed_as_far_as_the_load_shows_room() -> None:
    """Half of a core by two objects: three would take three quarters."""
    load = Load()
    load.for_a_while(0.5)

    assert load.pace.limit == 2
    assert load.for_a_while(0.5)
    assert load.pace.limit == 3
    assert not load.for_a_while(0.75)
    assert load.pace.limit == 3


def test_a_process_that_computes_all_the_time_does_less_at_once() -> None:
    """One less at each look, down to one, and no reading ahead."""
    load = Load()
    load.for_a_while(0.0)

    limits = []
    for _ in range(9):
        assert not load.for_a_while(1.1)
        limits.append(load.pace.limit)

    assert limits == [7, 6, 5, 4, 3, 2, 1, 1, 1]
    assert not load.pace.is_idle


@pytest.mark.parametrize("share", [0.61, 0.8, 0.94])
def test_it_stays_as_it_is_in_between(share: float) -> None:
    """Neither bound is crossed, so nothing swings to and fro."""
    load = Load()
    load.for_a_while(0.2)
    before = load.pace.limit, load.pace.is_idle

    assert not load.for_a_while(share)
    assert (load.pace.limit, load.pace.is_idle) == before


def test_a_clock_that_stands_still_changes_nothing() -> None:
    """Two looks at the same moment."""
    load = Load()

    assert not load.pace.adjust()
    assert load.pace.limit == 1
