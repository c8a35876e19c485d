"""What all operators share: the two connections, and how errors and kills pass between Airflow and the engine."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.engine.errors import ConfigurationError, S3ToAzureError, SliceEnded, error_from_json
from airflow_s3_azure.links import AzurePortalLink, LedgerLink, S3ConsoleLink
from airflow_s3_azure.operators.arguments import flag, number

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from airflow_s3_azure.connections import AzureContainer, S3Bucket
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.engine.copy import CopyOptions
    from airflow_s3_azure.lineage import Moved
    from airflow_s3_azure.triggers import ServerSideTrigger

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 8
RESCHEDULE_AFTER = timedelta(seconds=30)
"""Between two slices. Airflow's supervisor may notice only 5 s after it that a task ended, and the scheduler fails a
task that it has queued again before it hears of that (seen on 3.3.2)."""


class ConnectedOperator(BaseOperator):
    """An operator with a connection to each side, whose task can be killed at any time."""

    operator_extra_links: Collection[BaseOperatorLink] = (S3ConsoleLink(), AzurePortalLink(), LedgerLink())

    def __init__(
        self,
        *,
        s3_bucket: str,
        container_name: str,
        aws_conn_id: str | None = "aws_default",
        wasb_conn_id: str = "wasb_default",
        max_concurrency: int = DEFAULT_CONCURRENCY,
        create_container: bool = False,
        requester_pays: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_bucket = s3_bucket
        self.container_name = container_name
        self.aws_conn_id = aws_conn_id
        self.wasb_conn_id = wasb_conn_id
        self.max_concurrency = max_concurrency
        self.create_container = create_container
        self.requester_pays = requester_pays
        self.container_url = self.ledger_url = ""  # for the links, once they are known
        self.moved: list[Moved] = []  # for OpenLineage, once it is known
        self._cancellation: Cancellation | None = None

    def on_kill(self) -> None:
        """Ask the copy to stop."""
        # Runs in a signal handler: it may only set a flag.
        if self._cancellation is not None:
            self._cancellation.set("the task was killed")

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """Tell OpenLineage what was read and written; its provider calls this when the task has ended or failed."""
        del task_instance
        from airflow_s3_azure.lineage import operator_lineage

        return operator_lineage(self.moved)

    def _open(self) -> tuple[S3Bucket, AzureContainer, Cancellation]:
        """Open both sides. From here on the task can be interrupted."""
        from airflow_s3_azure.connections import open_bucket

        with folded("Connections"):
            container, cancellation = self._open_destination()
            bucket = open_bucket(
                self.aws_conn_id,
                self.s3_bucket,
                cancellation,
                max_concurrency=self.max_concurrency,
                requester_pays=self.requester_pays,
                max_bandwidth=self._bandwidth(),
            )
        return bucket, container, cancellation

    def _bandwidth(self) -> float | None:
        """Return how many bytes per second may be read at most; None: as many as come."""
        return None

    def _open_destination(self) -> tuple[AzureContainer, Cancellation]:
        from airflow_s3_azure.connections import open_container
        from airflow_s3_azure.engine.cancellation import Cancellation

        self._check_concurrency()
        self._cancellation = cancellation = Cancellation()
        container = open_container(
            self.wasb_conn_id,
            self.container_name,
            cancellation,
            max_concurrency=self.max_concurrency,
            create_container=self.create_container,
        )
        self.container_url = container.blobs.url
        return container, cancellation

    def _check_concurrency(self) -> None:
        if self.max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency is {self.max_concurrency}; it takes at least 1 thread")


class CopyingOperator(ConnectedOperator):
    """An operator that copies objects: how they are copied, and for how long at a time, or by whom."""

    def __init__(
        self,
        *,
        mode: Literal["stream", "server_side"] | str = "stream",  # noqa: PYI051 - the text may be a template
        deferrable: bool = False,
        block_size: int = DEFAULT_BLOCK_SIZE,
        overwrite: bool | str = True,
        verify: Literal["auto", "require"] = "auto",
        copy_tags: bool = False,
        access_tier: Literal["Hot", "Cool", "Cold", "Archive"] | None = None,
        discard_foreign_blocks: bool = False,
        slice: timedelta | None = None,  # noqa: A002 - the word for it
        max_bandwidth: float | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mode = mode
        self.deferrable = deferrable
        self.block_size = block_size
        self.overwrite = overwrite
        self.verify = verify
        self.copy_tags = copy_tags
        self.access_tier = access_tier
        self.discard_foreign_blocks = discard_foreign_blocks
        self.slice = slice
        self.max_bandwidth = max_bandwidth

    def _copy_options(self) -> CopyOptions:
        from airflow_s3_azure.engine.copy import CopyOptions, Mode

        return CopyOptions(
            mode=cast("Mode", self.mode),
            block_size=self.block_size,
            overwrite=flag("overwrite", self.overwrite),
            verify=self.verify,
            copy_tags=self.copy_tags,
            access_tier=self.access_tier,
            discard_foreign_blocks=self.discard_foreign_blocks,
        )

    def _open(self) -> tuple[S3Bucket, AzureContainer, Cancellation]:
        if self.mode != "server_side":
            return super()._open()
        from airflow_s3_azure.connections import open_for_pulling
        from airflow_s3_azure.engine.cancellation import Cancellation

        self._check_concurrency()
        self._cancellation = cancellation = Cancellation()
        with folded("Connections"):
            bucket, container = open_for_pulling(
                self.aws_conn_id,
                self.s3_bucket,
                self.wasb_conn_id,
                self.container_name,
                cancellation,
                max_concurrency=self.max_concurrency,
                create_container=self.create_container,
                requester_pays=self.requester_pays,
                max_bandwidth=self._bandwidth(),
            )
        self.container_url = container.blobs.url
        return bucket, container, cancellation

    def _bandwidth(self) -> float | None:
        return number("max_bandwidth", self.max_bandwidth)

    def _defer(self, trigger: type[ServerSideTrigger], **work: Any) -> NoReturn:
        """Leave the copy to a trigger, and the worker to others, until ``execute_complete`` is called.

        :param work: what the trigger is to copy
        """
        options = self._copy_options()
        self._check_concurrency()
        if self.mode != "server_side":
            raise ConfigurationError("deferrable=True needs mode='server_side': in a triggerer no byte may be moved")
        if self.slice is not None:
            raise ConfigurationError(
                "slice and deferrable are both given; a deferred copy holds no worker: leave slice"
            )
        self.defer(
            trigger=trigger(
                s3_bucket=self.s3_bucket,
                container_name=self.container_name,
                aws_conn_id=self.aws_conn_id,
                wasb_conn_id=self.wasb_conn_id,
                max_concurrency=self.max_concurrency,
                create_container=self.create_container,
                requester_pays=self.requester_pays,
                max_bandwidth=self._bandwidth(),
                block_size=options.block_size,
                overwrite=options.overwrite,
                verify=options.verify,
                copy_tags=options.copy_tags,
                access_tier=options.access_tier,
                discard_foreign_blocks=options.discard_foreign_blocks,
                **work,
            ),
            method_name="execute_complete",
            timeout=self.execution_timeout,
        )

    def _outcome(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return what a trigger's copy ended in, and count it.

        :raises S3ToAzureError: if it failed
        """
        from airflow_s3_azure.metrics import send_counts

        self.container_url = event.get("container_url", "")
        send_counts(context["ti"], event["counts"])
        if error := event.get("error"):
            raise error_from_json(error)
        return dict(event["outcome"])

    def _slice_seconds(self) -> float | None:
        if self.slice is None:
            return None
        if self.slice <= timedelta(0):
            raise ConfigurationError(f"slice is {self.slice}; it takes a time above zero, such as timedelta(hours=1)")
        return self.slice.total_seconds()


@contextmanager
def folded(title: str) -> Iterator[None]:
    """Let Airflow's log viewer fold what is logged meanwhile under a title."""
    log.info("::group::%s", title)
    try:
        yield
    finally:
        log.info("::endgroup::")


@contextmanager
def airflow_failures() -> Iterator[None]:
    """Turn errors that no retry can mend into Airflow's way to say so; let the others through."""
    try:
        yield
    except SliceEnded as end:
        log.info("%s", end)
        # Not a failure: the worker is free, no retry is used up, and the task runs again as soon as there is a slot.
        raise AirflowRescheduleException(datetime.now(UTC) + RESCHEDULE_AFTER) from None  # type: ignore[no-untyped-call]
    except S3ToAzureError as error:
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
