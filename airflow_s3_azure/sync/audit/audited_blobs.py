"""Joins what is recorded of a container's blobs with what the container lists, in the order of the names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_s3_azure.engine.azure.blob_names import is_reserved
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.sync.audit.audit_ledger import AuditFolder
from airflow_s3_azure.sync.audit.audited_runs import AuditedRun, expected_blobs
from airflow_s3_azure.sync.audit.expectations import Expected, decisive_rows
from airflow_s3_azure.sync.join import join
from airflow_s3_azure.sync.key_ranges import ServiceOrder
from airflow_s3_azure.sync.listing import list_blobs
from airflow_s3_azure.sync.sort import in_order

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from airflow_s3_azure.engine.azure.container import BlobContainer

MAX_RUNS = 10
"""Runs that the totals name."""
CHECK_EVERY = 1_000
"""Names between two checks of the cancellation."""

Entry = TypeVar("Entry")
Recorded = tuple[str, Expected | None, BlobState | None]
"""A name, what is recorded of its blob, and the blob as it is listed."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a container is compared with.

    :param runs: whose ledgers are the truth, the oldest first; None: the records on the blobs
    :param blob_prefix: only blobs whose name begins with it
    """

    runs: list[AuditedRun] | None
    blob_prefix: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the newest of the runs, and how many there are."""
        runs = self.runs or []
        return {"runs": [run.as_json() for run in runs[: -MAX_RUNS - 1 : -1]], "run_count": len(runs)}


@contextmanager
def recorded_blobs(
    client: ContainerClient,
    container: BlobContainer,
    truth: Truth,
    folder: AuditFolder,
    cancellation: Cancellation,
    *,
    is_sorted: bool,
) -> Iterator[Iterator[Recorded]]:
    """Provide what is recorded and what is listed, by name.

    :param folder: where sorts keep their segments; they are deleted at the end
    :param is_sorted: whether the container lists in the order of the names
    :raises OutOfOrder: while it is read, if it does not
    """
    prefix = truth.blob_prefix
    listed = list_blobs(container, prefix, order=ServiceOrder(is_sorted), cancellation=cancellation)
    blobs = (one for one in _watched(listed, cancellation) if not is_reserved(one[0]))
    with ExitStack() as sorting:
        if not is_sorted:
            blobs = sorting.enter_context(closing(in_order(blobs, folder.listing_spool())))
        if truth.runs is None:
            yield ((name, Expected.of_record(blob), blob) for name, _, blob in join((), blobs) if blob is not None)
            return
        all_rows = (row for run in truth.runs for row in expected_blobs(client, container, run))
        rows = (one for one in _watched(all_rows, cancellation) if one[0].startswith(prefix))
        ordered = sorting.enter_context(closing(in_order(rows, folder.expectation_spool())))
        yield join(decisive_rows(ordered), blobs)


def _watched(entries: Iterable[Entry], cancellation: Cancellation) -> Iterator[Entry]:
    """Yield the entries, until ``cancellation`` is set."""
    for number, entry in enumerate(entries):
        if not number % CHECK_EVERY:
            cancellation.check()
        yield entry
