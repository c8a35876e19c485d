"""A sync of some thousand objects spreads over both workers."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.cluster.syncs import MIB

if TYPE_CHECKING:
    from tests.cluster.syncs import ClusterSync

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.cluster]

SMALL = 2000
BIG = 3


def test_a_sync_spreads_over_both_workers(sync: ClusterSync) -> None:
    """Of ten batches each worker takes its part; all blobs are identical, and each key is in the ledger once."""
    content = random.Random(1)
    sync.put({f"small/{number:04d}": content.randbytes(1024 + number) for number in range(SMALL)})
    sync.put({f"big/{number}": content.randbytes(24 * MIB + number) for number in range(BIG)})

    sync.start(batch_objects=250, batch_size=32 * MIB)
    report = sync.finish()

    sync.check(report)
    assert report["copied"] == SMALL + BIG
    batches = Counter(task["hostname"] for task in sync.copies())
    assert batches.keys() == {"worker-1", "worker-2"}
    assert min(batches.values()) >= 2
    assert {task["try_number"] for task in sync.copies()} == {1}
    assert report["bytes_read"] == report["copied_bytes"]
