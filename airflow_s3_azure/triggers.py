"""Triggers that have Azure copy from S3 by itself, so that no worker waits for it.

Azure answers a block's request when it has read the block, so someone must wait; here it is threads of the triggerer,
which do nothing else. They run the engine that workers run. A trigger that is stopped, because its task was cleared or
the triggerer ends, leaves its blocks staged, and whoever copies next takes them over.
"""

from __future__ import annotations

import asyncio
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
from airflow_s3_azure.engine.errors import S3ToAzureError, error_as_json
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.metrics import counts_of
from airflow_s3_azure.sync.execution import BatchExecution
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.references import BatchReference

log = get_logger(__name__)

SOONEST_SECONDS = 15.0
"""How long a trigger runs at least. Airflow's supervisor may notice only 5 s after it that a task has deferred itself, and
the scheduler fails a task that runs again before it hears of that (seen on 3.3.2)."""
STOP_SECONDS = 5.0
"""How long a trigger that is stopped waits for its threads."""


class ServerSideTrigger(BaseTrigger):
    """Copies with ``mode="server_side"``, and fires once: with ``outcome``, or with ``error``.

    It is serialized with an operator's options, and holds no credential.

    :param endpoints: :class:`~airflow_s3_azure.endpoints.Endpoints` as JSON
    :param options: :class:`~airflow_s3_azure.engine.options.CopyOptions` as JSON
    :param work: what to copy
    """

    def __init__(self, endpoints: dict[str, Any], options: dict[str, Any], **work: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoints = endpoints
        self.options = options
        self.work = work

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what Airflow keeps of the trigger."""
        arguments = {"endpoints": self.endpoints, "options": self.options, **self.work}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Copy, in a thread of its own, and yield what became of it."""
        cancellation = Cancellation()
        # Its own thread, because those of the loop are few, and other triggers need them.
        thread = ThreadPoolExecutor(1, thread_name_prefix="s3-to-azure-trigger")
        # asgiref's way to it, so that the thread can ask for connections, through the loop that runs here.
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
        """Copy, and return what became of it; tell ``on_result`` of each object.

        :raises S3ToAzureError: if that cannot be said
        """
        raise NotImplementedError


class ServerSideObjectTrigger(ServerSideTrigger):
    """Copies one object; the outcome is its row.

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
        log.info("Azure copies %r to %r by itself", source, destination)
        (result,) = copy_objects(
            [request],
            bucket.source,
            container.blobs,
            options,
            cancellation,
            on_progress=_log_progress,
        )
        on_result(result)
        if result.error is not None:
            raise result.error
        return result.as_json() | {"source": source, "destination": destination}


class ServerSideBatchTrigger(ServerSideTrigger):
    """Copies one batch of a plan; the outcome is its ledger, its summary and what failed.

    :param batch: the plan's reference of the batch
    :param try_number: see :class:`~airflow_s3_azure.sync.execution.BatchExecution`
    :param cleared_at: likewise
    :param map_index: likewise
    """

    def _outcome(
        self,
        bucket: S3Bucket,
        container: AzureContainer,
        options: CopyOptions,
        cancellation: Cancellation,
        on_result: Callable[[CopyResult], None],
    ) -> dict[str, Any]:
        reference = BatchReference.from_json(self.work["batch"])
        folder = PlanFolder(container.client, reference.folder, cancellation)
        run = BatchExecution(
            reference,
            folder,
            try_number=self.work["try_number"],
            cleared_at=self.work["cleared_at"],
            map_index=self.work["map_index"],
        )
        log.info("Azure copies batch %d by itself: %s", reference.index, reference.label)
        run.copy(
            bucket.source,
            container.blobs,
            options,
            cancellation,
            check=request_check(Endpoints.from_json(self.endpoints), bucket, container),
            on_result=on_result,
        )
        outcome = {"ledger_url": f"{folder.ledger_url}{reference.part}.jsonl", "summary": run.summary()}
        try:
            run.raise_failures()
        except S3ToAzureError as failures:
            return {**outcome, "failures": error_as_json(failures)}
        return outcome


def _log_progress(progress: Progress) -> None:
    if progress.total:
        log.info("%s", progress.describe())
