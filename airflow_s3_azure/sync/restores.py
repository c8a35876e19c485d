"""Restores of archived objects: which objects wait for one, and the requests for those that have none.

Of a batch, a listing of the range of its keys shows it, with one request for 1,000 keys. It shows neither the archive tiers of
Intelligent-Tiering nor the versions that a list of keys names; these objects are checked with a HEAD each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import Any, Self

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import S3ToAzureError, SourceArchived, SourceNotFound, TransferError
from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.engine.s3.restore_request import request_restore
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.batch import shared_start
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import Restore
from airflow_s3_azure.sync.listing import endless_listing, page_of_objects
from airflow_s3_azure.sync.references import BatchReference


def archived_keys(
    source: S3Source, keys: Collection[str], retry: RetryPolicy, cancellation: Cancellation
) -> dict[str, Restore]:
    """Return which of the keys are archived, with the state of their restore, by a listing from the first to the last.

    A key that can be read, or is gone, is not among them.

    :raises TransferError: if the bucket cannot be listed
    """
    if not keys:
        return {}
    first, last = min(keys, key=str.encode), max(keys, key=str.encode)
    wanted, found, prefix = set(keys), dict[str, Restore](), reduce(shared_start, keys)
    token: str | None = None
    while True:
        # The names after this one begin with the first key, or with keys that sort before it.
        page = page_of_objects(source, prefix, first[:-1], token, retry=retry, cancellation=cancellation)
        found.update((one.key, one.restore) for one in page.entries if one.is_archived and one.key in wanted)
        if page.next is None or (page.names and page.names[-1].encode() >= last.encode()):
            return found
        if page.next == token:
            raise endless_listing(source, prefix)
        token = page.next


class Restores:
    """The restores of the objects of one copy or batch.

    :param client: a boto3 S3 client
    """

    def __init__(self, client: Any, source: S3Source, options: CopyOptions, cancellation: Cancellation) -> None:
        self._client = client
        self._source = source
        self._options = options
        self._cancellation = cancellation

    @classmethod
    def if_wanted(cls, client: Any, source: S3Source, options: CopyOptions, cancellation: Cancellation) -> Self | None:
        """Return the restores of a copy with ``archived="restore"``; None of any other copy."""
        return cls(client, source, options, cancellation) if options.archived == "restore" else None

    def hold(self, requests: Iterable[CopyRequest]) -> dict[str, TransferError | None]:
        """Return the keys that cannot be copied yet, and request the restores that nobody requested.

        :return: each key with None, or with the error if its restore was refused
        :raises TransferError: if the bucket cannot be listed, or an object's state cannot be read
        """
        planned = {request.key: request for request in requests}
        current = [key for key, request in planned.items() if request.version_id is None]
        states = archived_keys(self._source, current, self._options.retry, self._cancellation)
        versions = archived_requests(
            self._source,
            [request for request in planned.values() if request.version_id is not None],
            self._options,
            self._cancellation,
        )
        waiting = dict.fromkeys([*states, *(request.key for request in versions)])
        # A HEAD does not say whether a restore was requested; to request one again changes nothing.
        unrequested = [planned[key] for key, state in states.items() if not state]
        return waiting | self.request([*unrequested, *versions])

    def request(self, requests: Iterable[CopyRequest]) -> dict[str, TransferError | None]:
        """Request restores; return each key with None, or with the error if its restore was refused."""
        with ThreadPoolExecutor(self._options.max_concurrency, thread_name_prefix="s3-to-azure-restore") as pool:
            return dict(pool.map(self._request, requests))

    def request_if_archived(self, request: CopyRequest, error: S3ToAzureError | None) -> bool:
        """Request the restore of an object whose copy failed because it is archived; return whether it was such a failure.

        :param error: of the copy
        :raises TransferError: if the restore was refused
        """
        if not isinstance(error, SourceArchived):
            return False
        _, refused = self._request(request)
        if refused is not None:
            raise refused
        return True

    def _request(self, request: CopyRequest) -> tuple[str, TransferError | None]:
        source, options = self._source, self._options

        def send() -> None:
            # Intelligent-Tiering moves a restored object to its frequent access tier, for no number of days.
            is_tiered = (
                not request.is_archived
                and source.head(request.key, request.version_id).storage_class == "INTELLIGENT_TIERING"
            )
            request_restore(
                self._client,
                source,
                request.key,
                tier=options.restore_tier,
                days=None if is_tiered else options.restore_days,
                version_id=request.version_id,
            )

        try:
            options.retry.call(send, self._cancellation)
        except TransferError as error:
            return request.key, error.with_traceback(None)
        return request.key, None


def count_waiting(
    source: S3Source,
    folder: PlanFolder,
    reference: BatchReference,
    options: CopyOptions,
    cancellation: Cancellation,
) -> int:
    """Return how many objects of a batch are not in its ledger and still wait for their restore.

    :raises TransferError: if source or destination cannot be read
    """
    done = {row["key"] for row in folder.read_unconfirmed_ledger(reference.part, reference.objects)}
    open_requests = [one for one in folder.read_manifest(reference) if one.key not in done]
    listed = {one.key for one in open_requests if one.is_archived and one.version_id is None}
    others = [one for one in open_requests if one.key not in listed]
    return len(archived_keys(source, listed, options.retry, cancellation)) + len(
        archived_requests(source, others, options, cancellation)
    )


def archived_requests(
    source: S3Source, requests: Iterable[CopyRequest], options: CopyOptions, cancellation: Cancellation
) -> list[CopyRequest]:
    """Return the requests whose object or version is archived, by a HEAD each. One that is gone is not among them.

    :raises TransferError: if an object's state cannot be read
    """

    def is_archived(request: CopyRequest) -> bool:
        try:
            head = partial(source.head, request.key, request.version_id)
            return options.retry.call(head, cancellation).is_archived
        except SourceNotFound:
            return False  # the copy finds out

    asked = list(requests)
    with ThreadPoolExecutor(options.max_concurrency, thread_name_prefix="s3-to-azure-restore") as pool:
        return [one for one, archived in zip(asked, pool.map(is_archived, asked), strict=True) if archived]
