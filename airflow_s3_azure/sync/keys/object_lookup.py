"""Looks up at S3 what a plan needs of the keys of a list, and the list does not say.

Keys that are close to each other in the bucket are listed, a page of 1,000 keys with one request; the others get a HEAD each.
Which of the two is cheaper depends on the bucket, so a page is tried for each window of keys that lack something. It lists
from the window's first key on, and the next page from the first key that is still missing: so keys between two listed ones
are skipped. A page with few keys of the list ends the listing of its window. So there is at most one page in a thousand
keys more than keys, and for a list of the whole bucket as many pages as a listing has.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Literal

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceNotFound, SourceReadError, TransferError
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket
from airflow_s3_azure.engine.s3.params import Params
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.engine.s3.storage_classes import ARCHIVE_CLASSES
from airflow_s3_azure.sync.keys.in_parallel import in_parallel
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.listed_object import ListedKey, ListedObject
from airflow_s3_azure.sync.object_page import read_objects
from airflow_s3_azure.sync.page import MalformedPage, Page

log = get_logger(__name__)

WINDOW = 1_000
"""Keys that are looked up together: those of a page."""
MAX_LISTERS = 8
"""Windows that are listed at a time."""
MIN_KEYS = 20
"""Keys of the list in a page, at least: a page of S3 costs as much as 12 HEAD requests, and as much time as some more."""


class ObjectLookup:
    """Looks up the objects of a list's keys.

    :param prefix: of all keys
    :param needs_all: whether the plan needs the time and the storage class of each object too
    :param trusts_list: False: what the list has of an object does not count, but what S3 has
    :param threads: requests at a time
    """

    def __init__(
        self,
        source: S3Source,
        prefix: str,
        *,
        needs_all: bool,
        threads: int,
        trusts_list: bool = True,
        retry: RetryPolicy | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self._source = source
        self._prefix = prefix
        self._needs_all = needs_all
        self._trusts_list = trusts_list
        self._threads = threads
        self._retry = retry or RetryPolicy()
        self._cancellation = cancellation or Cancellation()
        # A directory bucket does not list from a name on.
        self._may_list = not is_directory_bucket(source.bucket)

    def objects(self, entries: Iterable[KeyEntry]) -> Iterator[ListedKey]:
        """Yield the object of each entry, in their order, which is that of the keys' UTF-8 bytes.

        :raises TransferError: if there is no such bucket, or a later try may succeed
        """
        windows = in_parallel(
            self._listed,
            _windows(entries),
            min(self._threads, MAX_LISTERS),
            name="s3-to-azure-list-keys",
            is_slow=lambda window: self._is_worth_listing(self._open_keys(window)),
        )
        return in_parallel(
            self._described,
            chain.from_iterable(windows),
            self._threads,
            name="s3-to-azure-head-keys",
            is_slow=lambda one: isinstance(one, KeyEntry),
        )

    def _listed(self, window: Sequence[KeyEntry]) -> list[KeyEntry | ListedKey]:
        """Return the objects of a window's entries; the entries themselves where a HEAD is needed."""
        found: dict[str, ListedObject | None] = {}
        keys = self._open_keys(window)
        while self._is_worth_listing(keys) and (page := self._page_from(keys[0])) is not None:
            stop = len(keys) if page.next is None else bisect_right(keys, page.names[-1])
            listed = {one.key: one for one in page.entries}
            found.update((key, listed.get(key)) for key in keys[:stop])
            keys = keys[stop:]
            if stop < MIN_KEYS:
                break
        return [
            _of_object(one, found[one.key]) if self._is_open(one) and one.key in found else self._as_listed(one)
            for one in window
        ]

    def _open_keys(self, window: Sequence[KeyEntry]) -> list[str]:
        """Return the keys whose objects a listing describes: it has no versions."""
        return [one.key for one in window if self._is_open(one)]

    def _is_open(self, entry: KeyEntry) -> bool:
        return entry.version_id is None and not self._is_complete(entry)

    def _is_complete(self, entry: KeyEntry) -> bool:
        # An archived object may have been restored since.
        if entry.size is None or entry.etag is None or entry.storage_class in ARCHIVE_CLASSES or not self._trusts_list:
            return False
        return not self._needs_all or (entry.last_modified is not None and entry.storage_class is not None)

    def _is_worth_listing(self, keys: Sequence[str]) -> bool:
        return self._may_list and len(keys) >= MIN_KEYS

    def _as_listed(self, entry: KeyEntry) -> KeyEntry | ListedKey:
        """Return the object as the list describes it; the entry itself if that is not enough."""
        if not self._is_complete(entry):
            return entry
        assert entry.size is not None
        assert entry.etag is not None
        return ListedKey(
            entry.key,
            entry.size,
            entry.etag,
            entry.last_modified,
            entry.storage_class or "STANDARD",
            version_id=entry.version_id,
        )

    def _page_from(self, key: str) -> Page[ListedObject] | None:
        """Return the page of the listing that begins at a key; None: the service does not list from a name on."""
        after = before(key)
        params: Params = {
            "Prefix": self._prefix,
            "EncodingType": "url",
            "StartAfter": after,
            "OptionalObjectAttributes": ["RestoreStatus"],
        }
        try:
            document = self._retry.call(lambda: self._source.list_page(params), self._cancellation)
            page = read_objects(document)
        except (SourceAccessDenied, SourceReadError, MalformedPage) as error:  # a HEAD may succeed
            log.info("the keys are not listed, but get a HEAD request each: %s", error)
            self._may_list = False
            return None
        is_ordered = all(map(str.__lt__, page.names, page.names[1:]))
        if not is_ordered or (page.names and page.names[0] <= after) or (page.next is not None and not page.names):
            log.info("the keys are not listed, but get a HEAD request each: S3 does not list in order from a name on")
            self._may_list = False
            return None
        return page

    def _described(self, one: KeyEntry | ListedKey) -> ListedKey:
        """Return the object of an entry, by a HEAD if it is not known yet."""
        if isinstance(one, ListedKey):
            return one
        try:
            found = self._retry.call(lambda: self._source.head(one.key, one.version_id), self._cancellation)
        except SourceNotFound as error:
            if not error.bucket_exists:
                raise
            return _of_object(one, None)
        except TransferError as error:
            if error.retryable or self._needs_all:
                raise
            # The copy fails with this error, and with it only this key.
            log.info("%r: S3 does not describe it: %s", one.key, error)
            return _without_object(one, "unknown")
        return ListedKey(
            one.key,
            found.size,
            found.etag,
            found.last_modified,
            found.storage_class,
            "" if found.is_archived else "done",
            version_id=one.version_id,
        )


def before(key: str) -> str:
    """Return a text that sorts before a key, by UTF-8 bytes, and after nearly every other key before it.

    It ends in ASCII, because services differ in which other characters they take in a query.
    """
    last = ord(key[-1]) - 1
    if 0xD800 <= last <= 0xDFFF:  # no characters
        last = 0xD7FF
    return key[:-1] + (f"{chr(last)}~~~~" if last else "")


def _windows(entries: Iterable[KeyEntry]) -> Iterator[list[KeyEntry]]:
    rest = iter(entries)
    while window := list(islice(rest, WINDOW)):
        yield window


def _of_object(entry: KeyEntry, found: ListedObject | None) -> ListedKey:
    """Return the listed object of an entry; None: there is none."""
    if found is None:
        return _without_object(entry, "gone")
    return ListedKey(found.key, found.size, found.etag, found.last_modified, found.storage_class, found.restore)


def _without_object(entry: KeyEntry, state: Literal["gone", "unknown"]) -> ListedKey:
    return ListedKey(entry.key, 0, "", None, version_id=entry.version_id, state=state)
