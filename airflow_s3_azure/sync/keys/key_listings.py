"""Makes listings of source and destination from a list of keys, for a plan.

The list is read once to learn its order, its first and its last key. Then its entries are read in the order of the keys:
as they come, or sorted, in memory or by an external sort. A short list is compared by a HEAD of each blob, because the
container may hold far more. For a long one the container is listed, within the prefix that all its keys share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from operator import attrgetter

from airflow_s3_azure.engine.azure.blob_names import why_refused
from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import DestinationConflict, PlanError
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.batch import shared_start
from airflow_s3_azure.sync.key_ranges import ServiceOrder
from airflow_s3_azure.sync.keys.in_parallel import in_parallel
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.object_lookup import ObjectLookup
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedKey, ListedObject
from airflow_s3_azure.sync.listing import list_blobs
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.sort import in_order

log = get_logger(__name__)

SHORT_LIST = 10_000
"""Entries that are kept in memory, and whose blobs get a HEAD each: about 15 s with 16 threads."""
_CHECK_EVERY = 1_000


@dataclass(slots=True)
class _Scan:
    """What is known of a list after it was read once.

    :param short: all entries, if there are few; else None
    :param first: the lowest key
    :param last: the highest key
    """

    short: list[KeyEntry] | None = field(default_factory=list)
    is_sorted: bool = True
    entries: int = 0
    first: str = ""
    last: str = ""

    def add(self, entry: KeyEntry, before: str) -> None:
        self.entries += 1
        self.is_sorted = self.is_sorted and before <= entry.key
        self.first = entry.key if self.entries == 1 else min(self.first, entry.key)
        self.last = max(self.last, entry.key)
        if self.short is not None:
            self.short.append(entry)
            if len(self.short) > SHORT_LIST:
                self.short = None


class KeyListings:
    """The listings of a plan from a list of keys.

    :param entries: starts to read the list; called again for each pass
    :param options: of the plan; keys that its selection leaves out are not looked up
    :param threads: requests at a time
    :param trusts_list: see :class:`~airflow_s3_azure.sync.keys.object_lookup.ObjectLookup`
    """

    def __init__(
        self,
        entries: Callable[[], Iterator[KeyEntry]],
        options: PlanOptions,
        folder: PlanFolder,
        *,
        source: S3Source,
        container: BlobContainer,
        cancellation: Cancellation,
        threads: int,
        trusts_list: bool = True,
    ) -> None:
        self._entries = entries
        self._options = options
        self._container = container
        self._folder = folder
        self._cancellation = cancellation
        self._threads = threads
        self._read = 0
        selection, naming = options.selection, options.naming
        self._lookup = ObjectLookup(
            source,
            options.prefix,
            needs_all=selection.needs_all or naming.needs_time,
            threads=threads,
            trusts_list=trusts_list,
            cancellation=cancellation,
        )

    def listings(self) -> tuple[Listing[ListedObject], Listing[tuple[str, BlobState]]]:
        """Return the listings of source and destination.

        :raises PlanError: if an entry of the list is not valid
        """
        scan, before = _Scan(), ""
        for entry in self._selected():
            scan.add(entry, before)
            before = entry.key
        log.info("%s of %s entries of the key list are selected", f"{scan.entries:,}", f"{self._read:,}")
        if scan.short is not None:
            objects = list(self._objects(sorted(scan.short, key=attrgetter("key"))))
            return Listing(lambda: iter(objects)), Listing(lambda: self._heads(objects))
        if not scan.is_sorted:
            log.info("the key list is not sorted: it is read again with an external sort")
        prefix = self._options.naming.common_prefix(shared_start(scan.first, scan.last))
        log.info("listing %s", self._container.blob_url(prefix))
        order = ServiceOrder()
        return (
            Listing(lambda: self._objects(self._in_order(is_sorted=scan.is_sorted))),
            Listing(
                lambda: list_blobs(
                    self._container, prefix, order=order, cancellation=self._cancellation, with_directories=True
                )
            ),
        )

    def _selected(self) -> Iterator[KeyEntry]:
        """Yield the entries whose keys are selected."""
        prefix, has_key = self._options.prefix, self._options.selection.has_key
        self._read = 0
        for entry in self._entries():
            if not self._read % _CHECK_EVERY:
                self._cancellation.check()
            self._read += 1
            if entry.key.startswith(prefix) and has_key(entry.key):
                yield entry

    def _in_order(self, *, is_sorted: bool) -> Iterator[KeyEntry]:
        if is_sorted:
            yield from self._selected()
            return
        entries = ((entry.key, entry) for entry in self._selected())
        with closing(in_order(entries, self._folder.entry_spool())) as ordered:
            for _, entry in ordered:
                yield entry

    def _objects(self, entries: Iterable[KeyEntry]) -> Iterator[ListedObject]:
        """Yield the selected objects of entries in order; keys without an object are selected, so that they are reported."""
        selection = self._options.selection
        for one in self._lookup.objects(unique(entries)):
            if one.state != "known" or one in selection:
                yield one

    def _heads(self, objects: Iterable[ListedObject]) -> Iterator[tuple[str, BlobState]]:
        """Yield the blobs of objects, in the order of their names."""
        naming = self._options.naming
        names = {
            naming.name(one.key, one.last_modified)
            for one in objects
            if not (isinstance(one, ListedKey) and one.state != "known")
        }
        valid = (name for name in sorted(names) if why_refused(name) is None)
        for name, state in in_parallel(self._head, valid, self._threads, name="s3-to-azure-head-blobs"):
            if state is not None:
                yield name, state

    def _head(self, name: str) -> tuple[str, BlobState | None]:
        try:
            return name, RetryPolicy().call(lambda: self._container.head(name), self._cancellation)
        except DestinationConflict as error:
            log.info("%s", error)
            return name, BlobState("", 0, conflict="directory")


def unique(entries: Iterable[KeyEntry]) -> Iterator[KeyEntry]:
    """Yield one entry of each key, of several the last.

    :param entries: those of one key follow each other
    :raises PlanError: if they name several versions
    """
    last: KeyEntry | None = None
    for entry in entries:
        if last is not None and last.key != entry.key:
            yield last
        elif last is not None and last.version_id != entry.version_id:
            raise PlanError(
                f"the key list has two versions of key {entry.key!r}, {last.version_id!r} and {entry.version_id!r} (None: "
                "the current one), for one blob; nothing was copied: leave one of them out"
            )
        last = entry
    if last is not None:
        yield last
