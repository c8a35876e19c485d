"""Which batches left keys uncopied, which keys, and how long the batches copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.sync.incomplete import copying_seconds, incomplete_batches, missing_keys
from airflow_s3_azure.sync.references import BatchReference


def _reference(index: int, objects: int) -> BatchReference:
    start, stop = index * 100, index * 100 + objects
    return BatchReference("folder", index, "keys", objects, 0, start, stop, "", '"etag"', ((stop, objects, "digest"),))


class _Folder:
    """A plan's folder: batch n has the keys n-0, n-1, …, of which the ledger has those that are given."""

    def __init__(self, ledger: dict[str, list[str]]) -> None:
        self._ledger = ledger

    def read_unconfirmed_ledger(self, part: str, most_rows: int) -> Iterator[dict[str, Any]]:
        del most_rows
        return iter([{"key": key} for key in self._ledger.get(part, [])])

    def read_manifest(self, reference: BatchReference) -> Iterator[CopyRequest]:
        return (CopyRequest(f"{reference.index}-{n}", f"blob-{reference.index}-{n}") for n in range(reference.objects))


def test_a_batch_is_incomplete_if_any_of_its_keys_failed_or_is_missing() -> None:
    """Its rows that did not fail are fewer than its objects."""
    references = [_reference(0, 3), _reference(1, 2), _reference(2, 1)]

    assert incomplete_batches(references, {0: 3, 1: 1}) == [1, 2]


def test_the_first_missing_keys_are_named_with_their_batch() -> None:
    """Failed keys are in the ledger, so they are not missing; at most ten are named."""
    references = [_reference(0, 2), _reference(1, 30)]
    folder: Any = _Folder({"00000": ["0-0", "0-1"], "00001": ["1-0"]})

    found = missing_keys(references, [0, 1], lambda _: folder)

    assert found == [{"key": f"1-{n}", "blob": f"blob-1-{n}", "batch": 1} for n in range(1, 11)]


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([("10:00:10", 10)], 10.0),
        ([("10:00:10", 10), ("10:00:12", 4)], 12.0),
        ([("10:00:10", 10), ("11:00:10", 10)], 20.0),
        ([("10:00:20", 2), ("10:00:30", 30)], 30.0),
    ],
    ids=["alone", "overlapping", "a retry an hour later", "one within another"],
)
def test_only_time_in_which_a_batch_copied_counts(spans: list[tuple[str, float]], seconds: float) -> None:
    """Batches that copied at the same time count once, and the wait for a retry does not count."""
    summaries = [{"ended_at": f"2026-11-22T{ended}+00:00", "seconds": took} for ended, took in spans]

    assert copying_seconds(summaries) == seconds


def test_batches_without_an_end_have_no_copying_time() -> None:
    """They were copied by an earlier version."""
    assert copying_seconds([{"seconds": 3.0}]) is None
