"""Cutting the objects to copy into batches for mapped tasks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_s3_azure.stream.blocks import MIB
from airflow_s3_azure.stream.objects import CopyRequest

MAX_BATCHES = 1000
"""Below Airflow's default ``core.max_map_length`` of 1,024."""
DEFAULT_BATCH_OBJECTS = 1_000
"""Objects in a batch: at a few milliseconds each, many times the half second that a task costs Airflow."""
DEFAULT_BATCH_SIZE = 32 * 1024 * MIB
"""Bytes in a batch: minutes of work, so that a retry or a lost worker costs minutes."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects that one task copies, in the order of the listing.

    :param index: from 0
    """

    index: int
    requests: Sequence[CopyRequest]

    @property
    def size(self) -> int:
        """Bytes of all its objects."""
        return sum(request.size or 0 for request in self.requests)


def batch(
    requests: Sequence[CopyRequest],
    *,
    max_objects: int = DEFAULT_BATCH_OBJECTS,
    max_size: int = DEFAULT_BATCH_SIZE,
    max_batches: int = MAX_BATCHES,
) -> list[Batch]:
    """Cut ``requests`` into runs of about equal work, in their order, depending on nothing but the arguments.

    A run holds at most ``max_objects`` objects and ``max_size`` bytes; a larger object is a run of its own. Where
    that would need more than ``max_batches``, both limits are doubled until it does not.
    """
    while True:
        runs = _cut(requests, max_objects, max_size)
        if len(runs) <= max_batches:
            return [Batch(index, run) for index, run in enumerate(runs)]
        max_objects, max_size = max_objects * 2, max_size * 2


def _cut(requests: Sequence[CopyRequest], max_objects: int, max_size: int) -> list[list[CopyRequest]]:
    # The work of an object, in units of which one run holds `full`: its share of the bytes and of the objects.
    full = max_objects * max_size
    work = [min((request.size or 0) * max_objects + max_size, full) for request in requests]
    total = sum(one for one in work if one < full)
    shares = -(-total // full)
    runs: list[list[CopyRequest]] = []
    before = filled = 0
    share = None
    for request, one in zip(requests, work, strict=True):
        alone = one == full
        # Equal shares of what is left beside the large ones, so that the last run is no small remainder.
        own = None if alone else before * shares // total
        if alone or own != share or filled + one > full:
            runs.append([])
            filled = 0
        share = own
        runs[-1].append(request)
        filled += one
        before += 0 if alone else one
    return runs
