"""The plan: what of two listings is to be copied, cut into batches and written down."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from airflow_s3_azure.stream.objects import BlobState, CopyRequest, CopyResult
from airflow_s3_azure.stream.progress import size_text
from airflow_s3_azure.sync.batch import DEFAULT_BATCH_OBJECTS, DEFAULT_BATCH_SIZE, MAX_BATCHES, Batch, batch
from airflow_s3_azure.sync.compare import decide
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.naming import Naming, why_refused
from airflow_s3_azure.sync.objects import ListedObject
from airflow_s3_azure.sync.select import Selection, is_folder_marker

log = logging.getLogger(__name__)

MAX_LABEL = 200
"""Characters of keys in a batch's label: Airflow's database takes 250 for the whole."""


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How a plan is made.

    :param overwrite: replace blobs that differ; False: leave every existing blob alone
    :param batch_objects: objects to aim at in a batch
    :param batch_size: bytes to aim at in a batch
    :param max_batches: below Airflow's ``core.max_map_length``
    """

    selection: Selection
    naming: Naming
    overwrite: bool = True
    batch_objects: int = DEFAULT_BATCH_OBJECTS
    batch_size: int = DEFAULT_BATCH_SIZE
    max_batches: int = MAX_BATCHES


@dataclass(frozen=True, slots=True)
class BatchReference:
    """What a mapped task is given: where its manifest is, and what to call it. Small enough for XCom a thousand times.

    :param folder: the plan's folder
    :param index: the batch's number, from 0
    :param label: such as ``exports/2026/11/ (812 objects, 3.1 GiB)``
    :param size: bytes
    """

    folder: str
    index: int
    label: str
    objects: int
    size: int

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> BatchReference:
        """Return the reference that was :meth:`as_json`."""
        return cls(**found)

    def as_json(self) -> dict[str, str | int]:
        """Return the reference as XCom holds it."""
        return asdict(self)

    @property
    def part(self) -> str:
        """The name of the batch's part of the ledger."""
        return f"{self.index:05d}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that was written down.

    :param folder: its folder in the destination container
    :param counts: keys by what the plan says of them: ``copy``, ``unchanged``, ``skipped``
    :param size: bytes to copy
    """

    folder: str
    counts: Mapping[str, int]
    size: int
    batches: list[BatchReference]

    @property
    def objects(self) -> int:
        """Selected keys, each of which must end in the ledger exactly once."""
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """Return the plan's totals for XCom, without its batches."""
        return {
            "folder": self.folder,
            "objects": self.objects,
            "counts": dict(self.counts),
            "size": self.size,
            "batches": len(self.batches),
        }


def make_plan(
    objects: Iterable[ListedObject],
    blobs: Iterable[tuple[str, BlobState]],
    options: PlanOptions,
    folder: PlanFolder,
) -> Plan:
    """Compare two listings, and write the manifest of each batch and the ledger of what needs no copy.

    Holds the destination's listing and the objects to copy in memory.
    """
    planner = _Planner(dict(blobs), options)
    folder.write_ledger("plan", planner.settle(objects))
    batches = batch(
        planner.to_copy,
        max_objects=options.batch_objects,
        max_size=options.batch_size,
        max_batches=options.max_batches,
    )
    references = []
    for one in batches:
        folder.write_manifest(one.index, one.requests)
        references.append(BatchReference(folder.path, one.index, _label(one), objects=len(one.requests), size=one.size))
    return Plan(folder.path, planner.counts, sum(one.size for one in batches), references)


class _Planner:
    def __init__(self, blobs: dict[str, BlobState], options: PlanOptions) -> None:
        self._blobs = blobs
        self._options = options
        self.to_copy: list[CopyRequest] = []
        self.counts = {"copy": 0, "unchanged": 0, "skipped": 0}

    def settle(self, objects: Iterable[ListedObject]) -> Iterator[dict[str, Any]]:
        """Yield the ledger's rows for keys that need no copy; keep the requests for those that do."""
        for item in objects:
            if item not in self._options.selection:
                continue
            result = self._decide(item)
            if result is not None:
                self.counts[result.status] += 1
                yield result.as_json()

    def _decide(self, item: ListedObject) -> CopyResult | None:
        name = self._options.naming.name(item.key)
        refused = "it only stands for a folder" if is_folder_marker(item) else why_refused(name)
        if refused:
            log.debug("%r: skipped: %s", item.key, refused)
            return CopyResult(item.key, name, "skipped", size=item.size, etag=item.etag, reason=refused)
        blob = self._blobs.get(name)
        decision = decide(item, blob, overwrite=self._options.overwrite)
        log.debug("%r: %s: %s", item.key, decision.action, decision.reason)
        if decision.action == "copy":
            self.counts["copy"] += 1
            self.to_copy.append(
                CopyRequest(item.key, name, size=item.size, etag=item.etag, precondition=decision.precondition)
            )
            return None
        return CopyResult(
            item.key,
            name,
            "unchanged" if decision.action == "unchanged" else "skipped",
            size=item.size,
            etag=item.etag,
            blob_etag=blob.etag if blob else None,
            reason=decision.reason,
        )


def _label(one: Batch) -> str:
    """Return what the UI calls a batch: the folder that its keys share, how many they are, how large together."""
    first, last = one.requests[0].key, one.requests[-1].key
    if len(one.requests) == 1:
        return f"{_shortened(first)} ({size_text(one.size)})"
    # In sorted order, what the first and the last share, all share.
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    folder = first[: first.rfind("/", 0, shared) + 1]
    what = folder or f"{_shortened(first, MAX_LABEL // 2)} … {_shortened(last, MAX_LABEL // 2)}"
    return f"{_shortened(what)} ({len(one.requests):,} objects, {size_text(one.size)})"


def _shortened(text: str, most: int = MAX_LABEL) -> str:
    """Return the text, or its end, which tells keys apart better than its beginning."""
    return text if len(text) <= most else "…" + text[1 - most :]
