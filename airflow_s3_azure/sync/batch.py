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

_OBJECT_COST = 64 * 1024
"""Bytes that take about as long to move as the two requests that every object costs."""


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

    There are as many runs as ``max_objects`` and ``max_size`` ask for, but never more than ``max_batches``: above
    that the runs grow. An object that is larger than an equal share is a batch of its own.

    :param max_objects: objects to aim at in a batch
    :param max_size: bytes to aim at in a batch
    """
    wanted = max(-(-len(requests) // max_objects), -(-sum(request.size or 0 for request in requests) // max_size), 1)
    # Between any two objects that stand alone there can be a run of small ones: twice as many batches, and one.
    shares = max(1, min(wanted, (max_batches - 1) // 2))
    share = -(-sum(map(_cost, requests)) // shares)
    runs: list[list[CopyRequest]] = []
    filled = share
    for request in requests:
        cost = _cost(request)
        if filled + cost > share:
            runs.append([])
            filled = 0
        runs[-1].append(request)
        filled += cost
    return [Batch(index, run) for index, run in enumerate(runs)]


def _cost(request: CopyRequest) -> int:
    return (request.size or 0) + _OBJECT_COST
