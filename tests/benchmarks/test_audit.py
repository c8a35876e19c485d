"""The benchmark of audits: its container is as described, and the bounds on an audit's memory hold for fewer blobs."""

from __future__ import annotations

import json

import pytest

from benchmarks.audit import DAMAGED, PAGE, ledger, listed, page, run
from benchmarks.plan_results import MAX_PEAK

COUNT = 2 * DAMAGED


def test_the_ledger_has_each_blob_once_in_no_order() -> None:
    """So it must be sorted."""
    blobs = [json.loads(line)["blob"] for line in ledger(COUNT).splitlines()]

    assert sorted(blobs) == listed(COUNT)
    assert blobs != listed(COUNT)


def test_the_listing_comes_in_pages_and_lacks_a_blob_in_a_thousand() -> None:
    """The last page has no marker."""
    pages = [page(PAGE + 1, start).decode() for start in (0, PAGE)]

    assert [one.count("<Blob>") for one in pages] == [PAGE - PAGE // DAMAGED, 1]
    assert ["<NextMarker />" in one for one in pages] == [False, True]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_blobs() -> None:
    """Of more blobs than a sort holds in memory. `make bench-audit` judges the time, which other tests would distort."""
    peaks = [audit.peak for audit in run([20_000, 120_000])]

    assert max(peaks) <= MAX_PEAK, peaks
