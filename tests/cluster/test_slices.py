"""Objects that need many slices, each on any free worker."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.cluster.syncs import MIB
from tests.faults.proxy import Delay, FaultProxy

if TYPE_CHECKING:
    from tests.cluster.syncs import ClusterSync
    from tests.faults.http1 import Request

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.cluster]

OBJECTS = 3
BLOCKS = 8
READ_SECONDS = 0.5


def test_slices_run_on_any_free_worker(sync: ClusterSync, s3_proxy: FaultProxy) -> None:
    """Each object takes several executions, on both workers; no block is read twice, and no retry is used up."""
    content = random.Random(1)
    sync.put({f"big/{number}": content.randbytes(BLOCKS * MIB - number) for number in range(OBJECTS)})
    s3_proxy.strike(Delay("done", READ_SECONDS), _is_block, times=None)

    sync.start(slice=timedelta(seconds=1), max_concurrency=1, batch_objects=1, retries=0)
    report = sync.finish(400)

    sync.check(report)
    assert {task["try_number"] for task in sync.copies()} == {1}
    slices = Counter(index for index, _ in sync.executions())
    assert slices.keys() == set(range(OBJECTS))
    assert min(slices.values()) >= 3
    assert {worker for _, worker in sync.executions()} == {"worker-1", "worker-2"}
    rows = sync.ledger().values()
    assert all(row["bytes_read"] + row["resumed_blocks"] * MIB == row["size"] for row in rows)


def _is_block(request: Request) -> bool:
    return request.method == "GET" and "range" in request.headers
