"""Makes a plan: compares two listings and writes what to copy, partitioned into batches, to the plan's folder."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Literal, TypeVar

from airflow_s3_azure.engine.azure.blob_names import is_reserved, why_refused
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.progress import count_text, size_text
from airflow_s3_azure.engine.properties import CopyIdentity
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.batch import Batcher, ManifestRange
from airflow_s3_azure.sync.compare import Decision, decide
from airflow_s3_azure.sync.cost import Cost
from airflow_s3_azure.sync.join import OutOfOrder, join
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.plan_conflicts import PlanConflicts
from airflow_s3_azure.sync.plan_model import Listing, Plan, PlanOptions
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.rows import no_copy_row, request_as_json
from airflow_s3_azure.sync.select import is_folder_placeholder
from airflow_s3_azure.sync.sort import in_order

log = get_logger(__name__)

MAX_SAMPLE = 10
"""Orphaned blobs that a plan names in XCom, for the approval."""
PROGRESS_SECONDS = 10.0
CHECK_EVERY = 1_000
"""Names between two checks of the clock and of the cancellation."""

Entry = TypeVar("Entry")


def make_plan(
    source: Listing[ListedObject],
    destination: Listing[tuple[str, BlobState]],
    options: PlanOptions,
    folder: PlanFolder,
    cancellation: Cancellation | None = None,
) -> Plan:
    """Compare two listings, and write the manifest, the rows of keys that need no copy, and the list of deletions.

    Both listings are read once, in one merge join. One that is not sorted by name is sorted first, in the plan's folder.

    :raises PlanError: if two keys get the same blob name, or there is more to copy than the budget allows
    :raises Cancelled: if ``cancellation`` was set
    """
    sorts = {
        "source": not (source.is_sorted and options.naming.keeps_order),
        "destination": not destination.is_sorted,
    }
    cancellation = cancellation or Cancellation()
    while True:
        # Before another pass begins, and if this one fails, closing ends the listings, and deletes the sorts' segments.
        with ExitStack() as open_listings:
            objects = open_listings.enter_context(closing(_named(source.open(), options)))
            blobs = open_listings.enter_context(closing(_each(destination.open())))
            if sorts["source"]:
                ordered = in_order(_watched(objects, cancellation), folder.source_spool())
                objects = open_listings.enter_context(closing(ordered))
            if sorts["destination"]:
                ordered_blobs = in_order(_watched(blobs, cancellation), folder.destination_spool())
                blobs = open_listings.enter_context(closing(ordered_blobs))
            try:
                return _Planner(options, folder, cancellation).plan(objects, blobs)
            except OutOfOrder as found:
                log.info("the %s listing is not sorted by name: listing again with an external sort", found.endpoint)
                sorts[found.endpoint] = True


def _each(entries: Iterable[Entry]) -> Generator[Entry]:
    """Yield the entries. Closing it closes a generator of them."""
    yield from entries


def _named(objects: Iterable[ListedObject], options: PlanOptions) -> Generator[tuple[str, ListedObject], None, None]:
    """Yield objects with their blob names: the selected ones, and for a mirror all, whose blobs are then not orphaned."""
    name, selection = options.naming.name, options.selection
    for item in objects:
        if options.delete or item in selection:
            # Only a key that is gone has no time where names need one, and it gets no blob.
            is_named = item.last_modified is not None or not options.naming.needs_time
            yield name(item.key, item.last_modified) if is_named else item.key, item


def _watched(entries: Iterable[Entry], cancellation: Cancellation) -> Iterator[Entry]:
    """Yield the entries, until ``cancellation`` is set."""
    for number, entry in enumerate(entries):
        if not number % CHECK_EVERY:
            cancellation.check()
        yield entry


class _Planner:
    """One pass through both listings."""

    def __init__(self, options: PlanOptions, folder: PlanFolder, cancellation: Cancellation) -> None:
        self._options = options
        self._folder = folder
        self._cancellation = cancellation
        self._manifest = folder.new_manifest()
        self._no_copy = folder.new_ledger("plan")
        self._deletions = folder.new_deletions()
        self._batcher = Batcher(
            max_objects=options.batch_objects, max_size=options.batch_size, max_batches=options.max_batches
        )
        self._cost = Cost(options.block_size)
        self._counts = {"copy": 0, "unchanged": 0, "skipped": 0}
        self._archived, self._archived_size = 0, 0
        self._conflicts = PlanConflicts()
        self._replaced = 0
        self._listed = self._blobs = self._directories = self._orphaned = self._foreign = 0
        self._orphaned_sample: list[str] = []
        self._last: tuple[str, str] | None = None
        self._logged = time.monotonic()

    def plan(self, objects: Iterator[tuple[str, ListedObject]], blobs: Iterator[tuple[str, BlobState]]) -> Plan:
        selection, all_are_selected = self._options.selection, not self._options.delete
        for number, (name, item, blob) in enumerate(join(objects, blobs)):
            if not number % CHECK_EVERY:
                self._check()
            # Ledgers are not copies; if they counted, the share of max_delete would grow with each run.
            if blob is not None and not is_reserved(name):
                self._blobs += 1
                if item is None:
                    self._add_orphan(name, blob)
            if item is not None:
                self._listed += 1
                if all_are_selected or item in selection:
                    self._add_key(name, item, blob)
        return self._committed()

    def _committed(self) -> Plan:
        """Commit the plan's files, verify those that later tasks act on, and return the plan."""
        self._manifest.commit()
        self._no_copy.commit()
        deletions = None
        if self._options.delete:
            self._deletions.commit()
            self._deletions.read_back()
            deletions = self._deletions.fingerprint()
        if self._foreign:
            log.info(
                "%s without a key: not deleted, because its record does not say that this package copied it from the key "
                "in bucket %r that gets this name",
                count_text(self._foreign, "blob"),
                self._options.bucket,
            )
        # What is read back counts, because it is copied if it differs.
        objects, size = self._counts["copy"], self._cost.size + self._cost.read_back_size
        budget, blobs = self._options.budget, self._blobs - self._directories
        budget.check(objects, size, f"{self._folder.url}manifest.jsonl")
        budget.check_replaced(self._replaced, self._orphaned, blobs, f"{self._folder.url}manifest.jsonl")
        ranges, manifest = self._batcher.batches(), self._manifest.fingerprint()
        digests = self._manifest.read_back([one.stop for one in ranges])
        path, prefix, etag = self._folder.path, self._options.prefix, manifest.etag
        return Plan(
            folder=path,
            counts=self._counts,
            archived=(self._archived, self._archived_size),
            conflicts=self._conflicts,
            replaced=self._replaced,
            cost=self._cost,
            orphaned=self._orphaned,
            orphaned_sample=self._orphaned_sample,
            delete_refused=budget.why_not_delete(self._orphaned, blobs, keys=self._listed),
            batches=[
                BatchReference.of(path, index, one, prefix=prefix, etag=etag, digest=digest)
                for index, (one, digest) in enumerate(zip(ranges, digests, strict=True))
            ],
            manifest=manifest,
            needs_no_copy=self._no_copy.fingerprint(),
            deletions=deletions,
        )

    def _add_key(self, name: str, item: ListedObject, blob: BlobState | None) -> None:
        refused = "folder placeholder" if is_folder_placeholder(item) else why_refused(name)
        if refused:
            self._add_no_copy(item, name, Decision("skip", refused))
            return
        if self._last is not None and self._last[0] == name:
            raise PlanError(
                f"keys {self._last[1]!r} and {item.key!r} would both become blob {name!r}; nothing was copied: change "
                "the naming, or leave one of them out"
            )
        self._last = (name, item.key)
        identity = CopyIdentity(self._options.bucket, item.key, name)
        decision = decide(item, blob, identity, compare=self._options.compare, overwrite=self._options.overwrite)
        if decision.action != "copy":
            self._add_no_copy(item, name, decision, blob)
            return
        # An adoption compares the blob with what S3 stored, which needs no restore.
        if item.is_archived and not decision.adopt:
            self._archived += 1
            self._archived_size += item.size
            if self._options.archived == "skip":
                self._add_no_copy(item, name, Decision("skip", _why_archived(item)), archived=True)
                return
        self._add_copy(name, item, decision, blob)

    def _add_copy(self, name: str, item: ListedObject, decision: Decision, blob: BlobState | None) -> None:
        request = decision.request(item, name)
        if item.is_archived and not decision.adopt and self._options.archived == "restore":
            request = replace(request, is_archived=True)
        if blob is not None and blob.conflict is not None:
            # An archived blob that is to be adopted cannot be compared, so it may be a copy, and stays.
            is_replaced = self._options.overwrite_archived and blob.conflict == "archived" and not decision.adopt
            request = replace(request, conflict=blob.conflict, replace_archived=is_replaced)
            if is_replaced:
                self._replaced += 1
            else:
                self._conflicts.add(blob.conflict, item.key)
            self._directories += blob.conflict == "directory"
        start = self._manifest.position
        self._manifest.write(request_as_json(request))
        self._batcher.add(ManifestRange.of(item.key, item.size, start, self._manifest.position))
        if decision.adopt:
            self._cost.add_read_back(item.size)
        else:
            self._cost.add(item.size)
        self._counts["copy"] += 1
        log.debug("%r: copy: %s", item.key, decision.reason)

    def _add_no_copy(
        self,
        item: ListedObject,
        name: str,
        decision: Decision,
        blob: BlobState | None = None,
        *,
        archived: bool = False,
    ) -> None:
        status: Literal["unchanged", "skipped"] = "unchanged" if decision.action == "unchanged" else "skipped"
        self._counts[status] += 1
        row = no_copy_row(
            item,
            name,
            status,
            decision.reason,
            blob_etag=blob.etag if blob else None,
            record=decision.record,
            archived=archived,
        )
        self._no_copy.write(row)
        log.debug("%r: %s: %s", item.key, status, decision.reason)

    def _add_orphan(self, name: str, blob: BlobState) -> None:
        if blob.conflict == "directory":
            self._directories += 1
            return
        if not self._options.delete:
            return
        key = self._options.naming.key_of(name)
        if key is None or blob.record is None or not blob.record.names(CopyIdentity(self._options.bucket, key, name)):
            log.debug("%r: no key, but its record does not name the key of this blob: not deleted", name)
            self._foreign += 1
            return
        if refused := why_refused(name):
            # Another tool copied our record here; a request with such a name could address another blob.
            log.warning("%r: no key, but it is not deleted: %s", name, refused)
            return
        self._orphaned += 1
        if len(self._orphaned_sample) < MAX_SAMPLE:
            self._orphaned_sample.append(name)
        modified = blob.last_modified.isoformat() if blob.last_modified else None
        self._deletions.write(
            {"key": key, "blob": name, "size": blob.size, "blob_etag": blob.etag, "last_modified": modified},
        )

    def _check(self) -> None:
        self._cancellation.check()
        if (now := time.monotonic()) - self._logged >= PROGRESS_SECONDS:
            self._logged = now
            log.info(
                "%s keys listed so far: %s to copy (%s), %s unchanged, %s skipped",
                f"{self._listed:,}",
                f"{self._counts['copy']:,}",
                size_text(self._cost.size),
                f"{self._counts['unchanged']:,}",
                f"{self._counts['skipped']:,}",
            )


def _why_archived(item: ListedObject) -> str:
    return f"archived in storage class {item.storage_class}" + ", and being restored" * (item.restore == "ongoing")
