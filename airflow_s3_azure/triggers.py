"""Triggers: two wait for the restore of archived objects; two run a server-side copy, so that no worker slot is held while Azure reads
from S3.

Azure responds to a block's request when it has read the block. Threads of the triggerer wait for these responses; they run
the same engine as workers do. If a trigger is stopped, because its task was cleared or the triggerer ends, its blocks stay
staged and the next copy resumes from them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_s3_azure.connections import AzureContainer, S3Bucket, check_object, open_endpoints, request_check
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    Cancelled,
    ConfigurationError,
    DestinationWriteError,
    S3ToAzureError,
    SourceReadError,
    error_as_json,
)
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.metrics import counts_of
from airflow_s3_azure.sync.compare_modes import NO_READ_BACK
from airflow_s3_azure.sync.execution import BatchExecution
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.lines_reader import MissingFile
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.restores import Restores, archived_requests, count_waiting
from airflow_s3_azure.values import SOONEST_SECONDS

__all__ = ["ObjectRestoreTrigger", "RestoreTrigger", "ServerSideBatchTrigger", "ServerSideObjectTrigger"]

log = get_logger(__name__)

STOP_SECONDS = 5.0
"""Grace period of a stopped trigger for its threads."""
SHARE = 10
"""A tenth of the keys that wait is worth a task of its own."""
MOST_SECONDS = 3600.0
"""The longest that a restored object waits for that tenth."""


class ConnectedTrigger(BaseTrigger):
    """A trigger between two endpoints. It is serialized with the operator's options, and holds no credential.

    :param endpoints: :class:`~airflow_s3_azure.endpoints.Endpoints` as JSON
    :param options: :class:`~airflow_s3_azure.engine.options.CopyOptions` as JSON
    :param work: what to copy, or to wait for
    """

    def __init__(self, endpoints: dict[str, Any], options: dict[str, Any], **work: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoints = endpoints
        self.options = options
        self.work = work

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments, which Airflow stores."""
        arguments = {"endpoints": self.endpoints, "options": self.options, **self.work}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments


class ServerSideTrigger(ConnectedTrigger):
    """Copies with ``mode="server_side"``, and fires one event, with ``outcome`` or ``error``."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Copy in a separate thread, and yield the result."""
        cancellation = Cancellation()
        # A separate thread: the loop's default pool is small, and other triggers need it.
        thread = ThreadPoolExecutor(1, thread_name_prefix="s3-to-azure-trigger")
        # Through asgiref, so that the thread can read connections through the running loop.
        copy = sync_to_async(self._copy, thread_sensitive=False, executor=thread)
        copying = asyncio.ensure_future(copy(cancellation))
        try:
            soonest = asyncio.sleep(SOONEST_SECONDS)
            event, _ = await asyncio.gather(asyncio.shield(copying), soonest)
        except asyncio.CancelledError:
            cancellation.set("the trigger was stopped")
            await asyncio.wait({copying}, timeout=STOP_SECONDS)
            raise
        finally:
            thread.shutdown(wait=False)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    def _copy(self, cancellation: Cancellation) -> dict[str, Any]:
        counts: Counter[str] = Counter()
        event: dict[str, Any] = {}
        try:
            options = CopyOptions.from_json(self.options)
            bucket, container = open_endpoints(Endpoints.from_json(self.endpoints), options, cancellation)
            event["container_url"] = container.blobs.url
            event["place"] = asdict(container.place(self.work.get("blob_name", "")))
            event["outcome"] = self._outcome(
                bucket, container, options, cancellation, lambda result: counts.update(counts_of(result))
            )
        except S3ToAzureError as error:
            log.info("%s: %s", type(error).__name__, error)
            event["error"] = error_as_json(error)
        return {**event, "counts": dict(counts)}

    def _outcome(
        self,
        bucket: S3Bucket,
        container: AzureContainer,
        options: CopyOptions,
        cancellation: Cancellation,
        on_result: Callable[[CopyResult], None],
    ) -> dict[str, Any]:
        """Copy and return the outcome; call ``on_result`` with the result of each object.

        :raises S3ToAzureError: if the copy failed
        """
        raise NotImplementedError


class ServerSideObjectTrigger(ServerSideTrigger):
    """Copies one object; the outcome is its row, or ``waiting`` if it must be restored first, which is requested.

    :param s3_key: the object
    :param blob_name: already checked against Azure's rules
    :param s3_version_id: None: the current one
    """

    def _outcome(
        self,
        bucket: S3Bucket,
        container: AzureContainer,
        options: CopyOptions,
        cancellation: Cancellation,
        on_result: Callable[[CopyResult], None],
    ) -> dict[str, Any]:
        key, blob = self.work["s3_key"], self.work["blob_name"]
        request = CopyRequest(key, blob, version_id=self.work["s3_version_id"])
        check_object(Endpoints.from_json(self.endpoints), bucket, container, request)
        source, destination = bucket.source.url(key), container.blobs.blob_url(blob)
        log.info("server-side copy of %r to %r", source, destination)
        (result,) = copy_objects(
            [request],
            bucket.source,
            container.blobs,
            options,
            cancellation,
            on_progress=_log_progress,
        )
        restores = Restores.if_wanted(bucket.client, bucket.source, options, cancellation)
        if restores is not None and restores.request_if_archived(request, result.error):
            return {"waiting": 1}
        on_result(result)
        if result.error is not None:
            raise result.error
        return result.as_json() | {"source": source, "destination": destination}


class ServerSideBatchTrigger(ServerSideTrigger):
    """Copies one batch of a plan; the outcome is the URL of its ledger, its summary, how many keys wait, and its failures.

    :param batch: the plan's reference of the batch
    :param run_folder: of the run whose plan it is; missing in triggers of earlier versions, whose references are absolute
    :param try_number: see :class:`~airflow_s3_azure.sync.execution.BatchExecution`
    :param cleared_at: see there
    :param map_index: see there
    """

    def _outcome(
        self,
        bucket: S3Bucket,
        container: AzureContainer,
        options: CopyOptions,
        cancellation: Cancellation,
        on_result: Callable[[CopyResult], None],
    ) -> dict[str, Any]:
        reference = BatchReference.from_json(self.work["batch"], self.work.get("run_folder", ""))
        folder = PlanFolder(container.client, reference.folder, cancellation)
        batch = BatchExecution(
            reference,
            folder,
            try_number=self.work["try_number"],
            cleared_at=self.work["cleared_at"],
            map_index=self.work["map_index"],
        )
        log.info("server-side copy of batch %d: %s", reference.index, reference.label)
        batch.copy(
            bucket.source,
            container.blobs,
            options,
            cancellation,
            restores=Restores.if_wanted(bucket.client, bucket.source, options, cancellation),
            check=_without_read_back(request_check(Endpoints.from_json(self.endpoints), bucket, container)),
            on_result=on_result,
        )
        outcome = {
            "ledger_url": folder.blob_url(batch.ledger_name),
            "summary": batch.summary(),
            "waiting": len(batch.waiting),
        }
        try:
            batch.raise_failures()
        except S3ToAzureError as failures:
            return {**outcome, "failures": error_as_json(failures)}
        return outcome


def _without_read_back(check: Callable[[CopyRequest], None]) -> Callable[[CopyRequest], None]:
    """Return a check that refuses to read a blob back too: no byte may pass through a triggerer."""

    def checked(request: CopyRequest) -> None:
        if request.adopt:
            raise ConfigurationError(NO_READ_BACK)
        check(request)

    return checked


def _log_progress(progress: Progress) -> None:
    if progress.total:
        log.info("%s", progress.describe())


class RestoringTrigger(ConnectedTrigger):
    """Fires one event when enough of the archived objects that wait are restored, or all of them.

    All its state is in its arguments and in S3 and Azure, so a restarted triggerer continues the wait. A poll that gets no
    response, or one that asks to try again, is repeated at the next interval; another error ends the wait, and so does a manifest
    that is gone.
    """

    @property
    def waiting(self) -> int:
        """How many objects waited when the task was deferred."""
        return int(self.work["waiting"])

    @property
    def interval(self) -> float:
        """Seconds between two polls, and the minimum run time of the trigger."""
        return CopyOptions.from_json(self.options).restore_poll_interval

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until it is worth to copy again, and yield the event."""
        cancellation = Cancellation()
        # A separate thread: the loop's default pool is small, and other triggers need it.
        thread = ThreadPoolExecutor(1, thread_name_prefix="s3-to-azure-restores")
        poll = sync_to_async(self._poll, thread_sensitive=False, executor=thread)
        ready_since: float | None = None
        try:
            while True:
                await asyncio.sleep(self.interval)
                event = await poll(cancellation)
                if event is None:
                    continue
                if "error" in event:
                    break
                ready = self.waiting - event["waiting"]
                ready_since = None if ready <= 0 else ready_since or time.monotonic()
                if event["waiting"] == 0 or ready * SHARE >= self.waiting:
                    break
                if ready_since is not None and time.monotonic() - ready_since >= MOST_SECONDS:
                    break
        except asyncio.CancelledError:
            cancellation.set("the trigger was stopped")
            raise
        finally:
            thread.shutdown(wait=False)
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    def _poll(self, cancellation: Cancellation) -> dict[str, Any] | None:
        """Return how many objects still wait, or the error that ends the wait; None: the next poll may get a response."""
        try:
            options = CopyOptions.from_json(self.options)
            bucket, container = open_endpoints(Endpoints.from_json(self.endpoints), options, cancellation)
            return {"waiting": self._count_waiting(bucket, container, options, cancellation)}
        except Cancelled:
            raise
        except S3ToAzureError as error:
            # Both endpoints responded before the wait: even a host that is missing in DNS now is not a wrong name.
            # A plan's file that is gone stays gone.
            may_pass = error.retryable or isinstance(error, SourceReadError | DestinationWriteError)
            if may_pass and not isinstance(error, MissingFile):
                log.warning("a poll failed, next in %.0f s: %s: %s", self.interval, type(error).__name__, error)
                return None
            log.info("%s: %s", type(error).__name__, error)
            return {"error": error_as_json(error)}

    def _count_waiting(
        self, bucket: S3Bucket, container: AzureContainer, options: CopyOptions, cancellation: Cancellation
    ) -> int:
        """Return how many objects still wait for their restore.

        :raises S3ToAzureError: if that cannot be read
        """
        raise NotImplementedError


class RestoreTrigger(RestoringTrigger):
    """Waits for the restores of a batch. What waits is read from its manifest and its ledger.

    :param batch: the plan's reference of the batch
    :param run_folder: that the reference leaves out
    :param waiting: keys that waited when the task was deferred
    """

    def _count_waiting(
        self, bucket: S3Bucket, container: AzureContainer, options: CopyOptions, cancellation: Cancellation
    ) -> int:
        reference = BatchReference.from_json(self.work["batch"], self.work["run_folder"])
        folder = PlanFolder(container.client, reference.folder, cancellation)
        waiting = count_waiting(bucket.source, folder, reference, options, cancellation)
        log.info("batch %d: %s of %s keys wait for their restore", reference.index, f"{waiting:,}", f"{self.waiting:,}")
        return waiting


class ObjectRestoreTrigger(RestoringTrigger):
    """Waits for the restore of one object, by a HEAD.

    :param s3_key: the object
    :param blob_name: of its copy
    :param s3_version_id: None: the current one
    """

    waiting = 1

    def _count_waiting(
        self, bucket: S3Bucket, container: AzureContainer, options: CopyOptions, cancellation: Cancellation
    ) -> int:
        del container
        request = CopyRequest(self.work["s3_key"], self.work["blob_name"], version_id=self.work["s3_version_id"])
        waiting = len(archived_requests(bucket.source, [request], options, cancellation))
        log.info("%r %s", request.key, "waits for its restore" if waiting else "can be read")
        return waiting
