"""Base classes of the operators: the two connections, and how errors and kills pass between Airflow and the engine."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.errors import S3ToAzureError, SliceEnded, class_name, error_from_json, runbook_url
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.links import AzurePortalLink, LedgerLink, S3ConsoleLink
from airflow_s3_azure.operators.arguments import check_arguments, check_deferral
from airflow_s3_azure.operators.option_groups import accepts, read_options

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from airflow_s3_azure.connections import AzureContainer, S3Bucket
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.lineage import Moved
    from airflow_s3_azure.triggers import ConnectedTrigger

log = get_logger(__name__)

MAP_INDEX_TEMPLATE = "{{ task.map_label | default(task.task_id, true) }}"
MAX_MAP_LABEL = 250
"""Characters that Airflow's database takes."""
RESCHEDULE_AFTER = timedelta(seconds=30)
"""Delay between two slices. Airflow's supervisor may notice the end of a task 5 s late, and the scheduler fails a task that
it has queued again before that (seen on 3.3.2)."""


class CancellableOperator(BaseOperator):
    """An operator with a connection to a container, whose task can be killed at any time."""

    operator_extra_links: Collection[BaseOperatorLink] = (AzurePortalLink(), LedgerLink())

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.container_url = self.ledger_url = ""  # read by the links; set in execute
        self._cancellation: Cancellation | None = None

    def on_kill(self) -> None:
        """Ask the task's work to stop."""
        self.cancel("the task was killed")

    def cancel(self, reason: str) -> bool:
        """Ask the work to stop; return False if it has not begun."""
        # Runs in a signal handler: it may only set a flag.
        if self._cancellation is None:
            return False
        self._cancellation.set(reason)
        return True


class ConnectedOperator(CancellableOperator):
    """An operator with a connection to source and destination."""

    operator_extra_links: Collection[BaseOperatorLink] = (S3ConsoleLink(), AzurePortalLink(), LedgerLink())

    s3_bucket: str

    @accepts(Endpoints)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.moved: list[Moved] = []  # read by OpenLineage; set in execute

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Return the datasets that were read and written; OpenLineage's provider calls this when the task has ended."""
        del task_instance
        from airflow_s3_azure.lineage import operator_lineage

        return operator_lineage(self.moved)

    def _open_destination(self) -> tuple[AzureContainer, Cancellation]:
        from airflow_s3_azure.connections import open_container
        from airflow_s3_azure.engine.cancellation import Cancellation

        endpoints = read_options(Endpoints, self)
        self._cancellation = cancellation = Cancellation()
        container = open_container(
            endpoints.wasb_conn_id,
            endpoints.container_name,
            cancellation,
            create_container=endpoints.create_container,
        )
        self.container_url = container.blobs.url
        return container, cancellation

    def _open(self, options: CopyOptions, **more: Any) -> tuple[S3Bucket, AzureContainer, Cancellation]:
        """Open source and destination. After this, the task can be cancelled.

        :param more: for :func:`~airflow_s3_azure.connections.open_endpoints`
        """
        from airflow_s3_azure.connections import open_endpoints
        from airflow_s3_azure.engine.cancellation import Cancellation

        self._cancellation = cancellation = Cancellation()
        with folded("Connections"):
            bucket, container = open_endpoints(read_options(Endpoints, self), options, cancellation, **more)
        self.container_url = container.blobs.url
        return bucket, container, cancellation


class CopyingOperator(ConnectedOperator):
    """An operator that has the options of a copy."""

    @accepts(CopyOptions)
    def __init__(
        self,
        *,
        deferrable: bool = False,
        slice: timedelta | None = None,  # noqa: A002 - the word for it
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_arguments({"deferrable": deferrable, "slice": slice})
        self.deferrable = deferrable
        self.slice = slice

    def _defer(self, trigger: type[ConnectedTrigger], options: CopyOptions, method: str, **work: Any) -> NoReturn:
        """Defer the task to a trigger. The worker slot is free meanwhile.

        :param method: that is called with the trigger's event
        :param work: what the trigger copies, or waits for
        """
        self.defer(
            trigger=trigger(endpoints=read_options(Endpoints, self).as_json(), options=options.as_json(), **work),
            method_name=method,
            timeout=self.execution_timeout,
        )

    def execute_restored(self, context: Context, event: dict[str, Any]) -> Any:
        """Copy what was restored meanwhile, after the event of a trigger that waited for it."""
        with airflow_failures():
            if error := event.get("error"):
                raise error_from_json(error)
        return self.execute(context)

    def _outcome(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a trigger's copy, and count it.

        :raises S3ToAzureError: if it failed
        """
        from airflow_s3_azure.metrics import send_counts

        self.container_url = event.get("container_url", "")
        send_counts(context["ti"], event["counts"])
        if error := event.get("error"):
            raise error_from_json(error)
        return dict(event["outcome"])

    def _copy_options(self) -> CopyOptions:
        """Return the options of the copy, after all arguments are checked."""
        options = read_options(CopyOptions, self)
        check_deferral(options.mode, self.slice, deferrable=self.deferrable)
        return options

    def _slice_seconds(self) -> float | None:
        return None if self.slice is None else self.slice.total_seconds()


@contextmanager
def folded(title: str) -> Iterator[None]:
    """Fold the log lines of the context under a title in Airflow's log viewer."""
    log.info("::group::%s", title)
    try:
        yield
    finally:
        log.info("::endgroup::")


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Map errors that are not retryable to AirflowFailException, and the end of a slice to a reschedule."""
    try:
        yield
    except SliceEnded as end:
        log.info("%s", end)
        # Not a failure: it uses no retry, frees the worker slot, and the task runs again when a slot is free.
        raise AirflowRescheduleException(datetime.now(UTC) + RESCHEDULE_AFTER) from None  # type: ignore[no-untyped-call]
    except S3ToAzureError as error:
        log.info("what to do: %s", runbook_url(error))  # Airflow logs the error itself
        if error.retryable:
            raise
        raise AirflowFailException(f"{class_name(error)}: {error}") from error
