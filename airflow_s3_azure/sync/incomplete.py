"""Finds incomplete batches, the keys missing from the ledger, and the time in which batches copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from airflow_s3_azure.engine.errors import UntrustedFile
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.run_report import MAX_FAILURES


def incomplete_batches(references: Sequence[BatchReference], done: Mapping[int, int]) -> list[int]:
    """Return the map indexes of the batches that have keys without a copy: failed, or not in the ledger.

    :param references: of all batches, by map index
    :param done: confirmed rows of the ledger that did not fail, by map index
    """
    return [index for index, one in enumerate(references) if done.get(index, 0) < one.objects]


def missing_keys(
    references: Sequence[BatchReference], indexes: Iterable[int], open_folder: Callable[[str], PlanFolder]
) -> list[dict[str, Any]]:
    """Return the first keys of incomplete batches that are not in the ledger: ``key``, ``blob`` and ``batch``.

    Memory: the keys of one batch.
    """
    return list(islice(_missing(references, indexes, open_folder), MAX_FAILURES))


def _missing(
    references: Sequence[BatchReference], indexes: Iterable[int], open_folder: Callable[[str], PlanFolder]
) -> Iterator[dict[str, Any]]:
    for index in indexes:
        reference = references[index]
        folder = open_folder(reference.folder)
        in_ledger: set[str] = set()
        with suppress(UntrustedFile):  # then its keys are missing
            in_ledger.update(row["key"] for row in folder.read_unconfirmed_ledger(reference.part, reference.objects))
        for request in folder.read_manifest(reference):
            if request.key not in in_ledger:
                yield {"key": request.key, "blob": request.blob, "batch": index}


def copying_seconds(summaries: Iterable[Mapping[str, Any]]) -> float | None:
    """Return the seconds in which at least one batch copied; None if no batch reports when it did.

    Between a failure and its retry nothing is copied, so that time does not count.

    :param summaries: of the batches, with ``ended_at`` and ``seconds``
    """
    spans = sorted(
        (ended - timedelta(seconds=one["seconds"]), ended)
        for one in summaries
        if "ended_at" in one
        for ended in [datetime.fromisoformat(one["ended_at"])]
    )
    if not spans:
        return None
    total, until = timedelta(0), spans[0][0]
    for start, stop in spans:
        total += max(timedelta(0), stop - max(start, until))
        until = max(until, stop)
    return total.total_seconds()
