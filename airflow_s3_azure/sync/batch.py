"""Cutting what is to be copied into batches for mapped tasks, as it comes, in bounded memory. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Self

from airflow_s3_azure.engine.blocks import MIB

MAX_BATCHES = 1000
"""Below Airflow's default ``core.max_map_length`` of 1,024."""
DEFAULT_BATCH_OBJECTS = 1_000
"""Objects in a batch: at a few milliseconds each, many times the half second that a task costs Airflow."""
DEFAULT_BATCH_SIZE = 32 * 1024 * MIB
"""Bytes in a batch: minutes of work, so that a retry or a lost worker costs minutes."""
MAX_RUNS = 65_536
"""Runs to cut between; beyond it neighbours are joined, so that more objects take no more memory."""


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring lines of the manifest.

    :param start: byte of the manifest at which they begin
    :param stop: byte after them
    :param size: bytes of their objects
    :param first: the first key
    :param last: the last key
    :param shared: what all keys begin with
    """

    start: int
    stop: int
    objects: int
    size: int
    first: str
    last: str
    shared: str

    @classmethod
    def of(cls, key: str, size: int, start: int, stop: int) -> Self:
        """Return the run of one object."""
        return cls(start, stop, 1, size, key, key, key)

    def joined(self, other: Run) -> Run:
        """Return this run and the one that follows it as one."""
        return Run(
            self.start,
            other.stop,
            self.objects + other.objects,
            self.size + other.size,
            self.first,
            other.last,
            shared_start(self.shared, other.shared),
        )


def shared_start(one: str, other: str) -> str:
    """Return what both texts begin with."""
    if other.startswith(one):
        return one
    same, most = 0, min(len(one), len(other))
    while same < most:  # halving: keys share much
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return one[:same]


class Batcher:
    """Takes objects one by one, and cuts them into batches of about equal work once it has seen them all.

    A batch is a run of objects, in their order, and depends on nothing but the arguments. It holds at most
    ``max_objects`` objects and ``max_size`` bytes; a larger object is a batch of its own. Where that would need more
    than ``max_batches``, both limits are doubled until it does not.
    """

    def __init__(
        self,
        *,
        max_objects: int = DEFAULT_BATCH_OBJECTS,
        max_size: int = DEFAULT_BATCH_SIZE,
        max_batches: int = MAX_BATCHES,
        max_runs: int = MAX_RUNS,
    ) -> None:
        self._max_objects = max_objects
        self._max_size = max_size
        self._max_batches = max_batches
        self._max_runs = max_runs
        self._runs: list[Run] = []
        self._grain = 1
        """Objects in the largest run that neighbours are joined to."""

    def add(self, run: Run) -> None:
        """Take what follows what it has."""
        self._join(self._runs, run)
        while len(self._runs) > self._max_runs:
            self._grain *= 2
            longer, self._runs = self._runs, []
            for one in longer:
                self._join(self._runs, one)

    def _join(self, runs: list[Run], run: Run) -> None:
        """Put a run behind others, as a part of the last one where that stays small enough to cut between."""
        last = runs[-1] if runs else None
        most = self._max_size * self._grain // self._max_objects
        if last and last.objects + run.objects <= self._grain and last.size + run.size <= most:
            runs[-1] = last.joined(run)
        else:
            runs.append(run)

    def batches(self) -> list[Run]:
        """Return the batches of all that was taken."""
        max_objects, max_size = self._max_objects, self._max_size
        while True:
            found = _cut(self._runs, max_objects, max_size)
            if len(found) <= self._max_batches:
                return found
            max_objects, max_size = max_objects * 2, max_size * 2


def _cut(runs: Sequence[Run], max_objects: int, max_size: int) -> list[Run]:
    # The work of a run, in units of which one batch holds `full`: its share of the bytes and of the objects.
    full = max_objects * max_size
    work = [min(run.size * max_objects + run.objects * max_size, full) for run in runs]
    shares = -(-sum(one for one in work if one < full) // full)
    while (found := _dealt(runs, work, full, shares)) is None:
        shares += max(1, shares // 20)
    return [_joined(one) for one in found]


def _dealt(runs: Sequence[Run], work: Sequence[int], full: int, shares: int) -> list[list[Run]] | None:
    """Deal the runs out to equal shares, large ones aside; None if a share comes to more than a batch holds."""
    total = sum(one for one in work if one < full)
    found: list[list[Run]] = []
    before = filled = 0
    share = None
    for run, one in zip(runs, work, strict=True):
        alone = one == full
        own = None if alone else before * shares // total
        if alone or own != share:
            found.append([])
            filled = 0
        share = own
        found[-1].append(run)
        filled += one
        if filled > full:
            return None
        before += 0 if alone else one
    return found


def _joined(runs: Sequence[Run]) -> Run:
    first, last = runs[0], runs[-1]
    return Run(
        first.start,
        last.stop,
        sum(run.objects for run in runs),
        sum(run.size for run in runs),
        first.first,
        last.last,
        reduce(shared_start, (run.shared for run in runs)),
    )
