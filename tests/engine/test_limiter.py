"""Both limits follow what the process waits for."""

from __future__ import annotations

import math

import pytest

from airflow_s3_azure.engine.limiter import Limiter


class Load:
    """A clock, and a process that uses a share of one core."""

    def __init__(self) -> None:
        self.now = 100.0
        self.used = 7.0
        self.limiter = Limiter(8, clock=lambda: self.now, cpu=lambda: self.used)

    def run(self, share: float, seconds: float = 0.06, *, blocks_refused: bool = False) -> bool | None:
        """Let time pass with this share of a core used, and the limiter sample it."""
        self.now += seconds
        self.used += seconds * share
        return self.limiter.sample(blocks_refused=blocks_refused)


def test_the_first_limits_are_two() -> None:
    """One block or object is read while another is written."""
    limiter = Load().limiter

    assert (limiter.small_objects, limiter.blocks) == (2, 2)


def test_a_limit_of_one_object_is_kept() -> None:
    """``max_concurrency=1`` is a wish of the user."""
    assert Limiter(1).small_objects == 1


def test_a_network_bound_process_soon_reaches_the_upper_bound() -> None:
    """Behind a round trip of 40 ms two samples suffice; after that no limit grows."""
    load = Load()

    assert [load.run(0.02), load.run(0.1), load.run(0.1)] == [True, False, False]
    assert load.limiter.small_objects == 8


def test_more_small_objects_are_allowed_as_far_as_the_load_shows_room() -> None:
    """Two fifths of a core by two objects: three would take three fifths."""
    load = Load()

    assert load.run(0.4)
    assert load.limiter.small_objects == 3
    assert not load.run(0.6)
    assert load.limiter.small_objects == 3


def test_a_cpu_bound_process_copies_fewer_small_objects_at_once() -> None:
    """One less at each sample, down to two."""
    load = Load()
    load.run(0.0)

    limits = []
    for _ in range(9):
        assert not load.run(1.1)
        limits.append(load.limiter.small_objects)

    assert limits == [7, 6, 5, 4, 3, 2, 2, 2, 2]


@pytest.mark.parametrize("share", [0.51, 0.7, 0.84])
def test_the_limit_of_small_objects_is_stable_in_between(share: float) -> None:
    """Neither bound is crossed, so nothing oscillates."""
    load = Load()
    load.run(0.2)
    before = load.limiter.small_objects

    assert not load.run(share)
    assert load.limiter.small_objects == before


def test_the_limit_of_blocks_grows_while_blocks_wait() -> None:
    """A tenth of a core for each: soon the limit exceeds any number of workers."""
    load = Load()
    limits = []
    for _ in range(3):
        assert load.run(load.limiter.blocks * 0.1, blocks_refused=True)
        limits.append(load.limiter.blocks)

    assert limits == [7, 24, 84]


@pytest.mark.parametrize("share", [0.26, 0.42, 1.0])
def test_the_limit_of_blocks_stays_where_each_keeps_its_thread_busy(share: float) -> None:
    """Where nothing waits, more threads make each block more expensive."""
    load = Load()
    load.run(2 * share, blocks_refused=True)

    assert load.limiter.blocks == 2


def test_the_limit_of_blocks_grows_by_one_at_least() -> None:
    """Otherwise rounding would keep it at two."""
    load = Load()

    assert load.run(2 * 0.24, blocks_refused=True)
    assert load.limiter.blocks == 3


def test_the_limit_of_blocks_grows_only_where_blocks_were_refused() -> None:
    """A process that idles because there is no work needs no higher limit."""
    load = Load()
    for _ in range(10):
        load.run(0.0)

    assert load.limiter.blocks == 2


def test_nothing_is_sampled_within_the_sampling_interval() -> None:
    """One response that takes 20 ms proves nothing."""
    load = Load()

    assert load.run(0.0, seconds=0.02) is None
    assert load.run(0.9, seconds=0.04, blocks_refused=True) is False
    assert (load.limiter.small_objects, load.limiter.blocks) == (2, 2)


def test_a_clock_that_stands_still_changes_nothing() -> None:
    """Two samples at the same moment."""
    load = Load()

    assert load.run(0.0, seconds=0.0, blocks_refused=True) is None
    assert (load.limiter.small_objects, load.limiter.blocks) == (2, 2)


def test_without_adaptation_the_load_does_not_matter() -> None:
    """With server-side copy, the CPU load is that of other work."""
    now = [100.0]
    limiter = Limiter(8, clock=lambda: now[0], cpu=lambda: now[0], is_adaptive=False)
    now[0] += 1.0

    assert limiter.sample(blocks_refused=True) is None
    assert (limiter.small_objects, limiter.blocks) == (8, math.inf)
