"""How much is done at once follows what the process is kept waiting by."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.limiter import Limiter


class Load:
    """A clock, and a processor that was busy for a share of the time."""

    def __init__(self) -> None:
        self.now = 100.0
        self.computed = 7.0
        self.pace = Limiter(8, clock=lambda: self.now, cpu=lambda: self.computed)

    def for_a_while(self, share: float, seconds: float = 0.06) -> bool:
        """Let time pass with this share of a core used, and the pace look."""
        self.now += seconds
        self.computed += seconds * share
        return self.pace.adjust()

    def with_full_hands(self, share: float, seconds: float = 0.06) -> bool:
        """The same while more blocks are wanted than may be in hand."""
        assert not self.pace.has_room(self.pace.blocks)
        return self.for_a_while(share, seconds)


def test_it_begins_with_one_small_object_and_two_blocks() -> None:
    """Nothing is known yet."""
    pace = Load().pace

    assert pace.objects == 1
    assert [pace.has_room(blocks) for blocks in (0, 1, 2, 3)] == [True, True, False, False]


def test_a_process_that_waits_for_the_network_soon_does_all_that_it_may() -> None:
    """Behind a round trip of 40 ms two looks suffice, and then nobody is woken any more."""
    load = Load()

    assert [load.for_a_while(0.02), load.for_a_while(0.1), load.for_a_while(0.1)] == [True, False, False]
    assert load.pace.objects == 8


def test_more_small_objects_are_allowed_as_far_as_the_load_shows_room() -> None:
    """Two fifths of a core by two objects: three would take three fifths."""
    load = Load()

    assert load.for_a_while(0.4)
    assert load.pace.objects == 2
    assert load.for_a_while(0.4)
    assert load.pace.objects == 3
    assert not load.for_a_while(0.6)
    assert load.pace.objects == 3


def test_a_process_that_computes_all_the_time_does_fewer_small_objects_at_once() -> None:
    """One less at each look, down to one."""
    load = Load()
    load.for_a_while(0.0)

    objects = []
    for _ in range(9):
        assert not load.for_a_while(1.1)
        objects.append(load.pace.objects)

    assert objects == [7, 6, 5, 4, 3, 2, 1, 1, 1]


@pytest.mark.parametrize("share", [0.51, 0.7, 0.84])
def test_small_objects_stay_as_many_in_between(share: float) -> None:
    """Neither bound is crossed, so nothing swings to and fro."""
    load = Load()
    load.for_a_while(0.2)
    before = load.pace.objects

    assert not load.for_a_while(share)
    assert load.pace.objects == before


def test_blocks_that_are_waited_for_become_more() -> None:
    """A tenth of a core for each: soon there may be more of them than anybody has workers for."""
    load = Load()
    blocks = []
    for _ in range(3):
        assert load.with_full_hands(load.pace.blocks * 0.1)
        blocks.append(load.pace.blocks)

    assert blocks == [7, 24, 84]


@pytest.mark.parametrize("share", [0.26, 0.42, 1.0])
def test_blocks_that_keep_their_threads_busy_stay_as_many(share: float) -> None:
    """Where nothing is waited for, more threads make each block dearer; however much they compute together."""
    load = Load()
    load.with_full_hands(2 * share)

    assert load.pace.blocks == 2


def test_a_little_too_much_waiting_is_one_block_more_at_least() -> None:
    """Or it would stay at two for ever."""
    load = Load()

    assert load.with_full_hands(2 * 0.24)
    assert load.pace.blocks == 3


def test_blocks_become_no_more_where_no_more_are_wanted() -> None:
    """An object's beginning, or the end of the last, is no reason to hold more of the next."""
    load = Load()
    load.with_full_hands(2 * 0.4)
    for _ in range(10):
        load.for_a_while(0.0)

    assert load.pace.blocks == 2


def test_the_load_is_looked_at_over_a_while() -> None:
    """One answer that takes 20 ms says nothing."""
    load = Load()

    assert not load.for_a_while(0.0, seconds=0.02)
    assert not load.with_full_hands(0.9, seconds=0.04)
    assert (load.pace.objects, load.pace.blocks) == (1, 2)


def test_a_clock_that_stands_still_changes_nothing() -> None:
    """Two looks at the same moment."""
    load = Load()

    assert not load.pace.adjust()
    assert not load.with_full_hands(0.0, seconds=0.0)
    assert (load.pace.objects, load.pace.blocks) == (1, 2)


def test_without_a_pace_the_load_does_not_matter() -> None:
    """Where Azure reads by itself, what this process computes is other people's work."""
    now = [100.0]
    pace = Limiter(8, clock=lambda: now[0], cpu=lambda: now[0], is_on=False)
    now[0] += 1.0

    assert not pace.adjust()
    assert pace.objects == 8
    assert pace.has_room(100)
