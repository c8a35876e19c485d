"""A plan: its options, and what it decided. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.engine.options import Archived
from airflow_s3_azure.sync.batch import DEFAULT_BATCH_OBJECTS, DEFAULT_BATCH_SIZE, MAX_BATCHES
from airflow_s3_azure.sync.budget import Budget
from airflow_s3_azure.sync.compare_modes import Compare
from airflow_s3_azure.sync.cost import Cost
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_conflicts import PlanConflicts
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.select import Selection

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Entry]):
    """A listing of the source or the destination.

    :param open: starts the listing; called again if its order is not that of the names' UTF-8 bytes
    :param is_sorted: False if its order is known to be another one
    """

    open: Callable[[], Iterator[Entry]]
    is_sorted: bool = True


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """Options of a plan.

    :param bucket: of the source; only blobs whose record names it may be deleted
    :param prefix: of the listed keys
    :param overwrite: replace blobs that differ; False: leave every existing blob alone
    :param overwrite_archived: replace archived blobs, which are deleted first
    :param archived: what becomes of archived objects
    :param delete: list the orphaned blobs for deletion
    :param batch_objects: target number of objects in a batch
    :param batch_size: target number of bytes in a batch
    :param max_batches: below Airflow's ``core.max_map_length``
    :param block_size: of the copy, in bytes, to compute its cost
    """

    selection: Selection
    naming: Naming
    bucket: str = ""
    prefix: str = ""
    compare: Compare = "etag"
    overwrite: bool = True
    overwrite_archived: bool = False
    archived: Archived = "fail"
    delete: bool = False
    budget: Budget = field(default_factory=Budget)
    batch_objects: int = DEFAULT_BATCH_OBJECTS
    batch_size: int = DEFAULT_BATCH_SIZE
    max_batches: int = MAX_BATCHES
    block_size: int = DEFAULT_BLOCK_SIZE


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan, as committed to its folder.

    :param folder: its path in the destination container
    :param counts: keys by decision: ``copy``, ``unchanged``, ``skipped``
    :param archived: archived objects whose blob is no copy of them, and their bytes
    :param conflicts: objects to copy whose blob's name holds what no copy can overwrite
    :param replaced: archived blobs to delete and replace
    :param cost: of the objects to copy
    :param orphaned: blobs to delete
    :param orphaned_sample: the first of them
    :param delete_refused: why none of them may be deleted; None if they may
    :param batches: empty if there is nothing to copy
    :param manifest: fingerprint of the manifest
    :param needs_no_copy: fingerprint of the plan's part of the ledger: unchanged and skipped keys
    :param deletions: fingerprint of the list of blobs to delete; None if there is none
    """

    folder: str
    counts: Mapping[str, int]
    archived: tuple[int, int]
    conflicts: PlanConflicts
    replaced: int
    cost: Cost
    orphaned: int
    orphaned_sample: list[str]
    delete_refused: str | None
    batches: list[BatchReference]
    manifest: Fingerprint
    needs_no_copy: Fingerprint
    deletions: Fingerprint | None

    @property
    def objects(self) -> int:
        """Selected keys, each of which must end in the ledger exactly once."""
        return sum(self.counts.values())

    @property
    def size(self) -> int:
        """Bytes to copy, or to read back."""
        return self.cost.size + self.cost.read_back_size

    def as_json(self) -> dict[str, Any]:
        """Return the plan's totals for XCom, without its batches."""
        return {
            "folder": self.folder,
            "objects": self.objects,
            "counts": dict(self.counts),
            "archived": {"objects": self.archived[0], "size": self.archived[1]},
            "conflicts": self.conflicts.as_json(),
            "replaced_archived": self.replaced,
            "size": self.size,
            "batches": len(self.batches),
            "extra": self.orphaned,
            "extra_sample": self.orphaned_sample,
            "delete_refused": self.delete_refused,
            "manifest": self.manifest.as_json(),
            "settled": self.needs_no_copy.as_json(),
            "deletions": self.deletions.as_json() if self.deletions else None,
        }
