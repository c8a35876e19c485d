"""The operators: Airflow's face of the engine. Thin: arguments in, errors and results mapped, progress to the log.

Nothing heavy is imported before a task runs, so that a DAG file that names these operators parses quickly.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowRescheduleException

from airflow_s3_azure.stream.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.stream.errors import ConfigurationError, S3ToAzureError, SliceEnded

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.connections import AzureContainer, S3Bucket
    from airflow_s3_azure.stream.copy import CopyOptions
    from airflow_s3_azure.stream.interruption import Interruption
    from airflow_s3_azure.stream.progress import Progress
    from airflow_s3_azure.sync.plan import PlanOptions

log = logging.getLogger(__name__)

DEFAULT_CONCURRENCY = 8
RESCHEDULE_AFTER = timedelta(seconds=30)
"""Between two slices. Airflow's supervisor may notice only 5 s after it that a task ended, and the scheduler fails a
task that it has queued again before it hears of that (seen on 3.3.2)."""
PLAN_KEY = "plan"
"""XCom key of the plan's totals."""


class _S3ToAzureOperator(BaseOperator):
    """What all operators here share: the two connections, and how errors and kills are passed on."""

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
        self._interruption: Interruption | None = None

    def on_kill(self) -> None:
        # Runs in a signal handler: it may only set a flag.
        if self._interruption is not None:
            self._interruption.set("the task was killed")

    def _open(self) -> tuple[S3Bucket, AzureContainer, Interruption]:
        """Open both sides. From here on the task can be interrupted."""
        from airflow_s3_azure.connections import open_bucket

        container, interruption = self._open_destination()
        bucket = open_bucket(
            self.aws_conn_id,
            self.s3_bucket,
            interruption,
            max_concurrency=self.max_concurrency,
            requester_pays=self.requester_pays,
        )
        return bucket, container, interruption

    def _open_destination(self) -> tuple[AzureContainer, Interruption]:
        from airflow_s3_azure.connections import open_container
        from airflow_s3_azure.stream.interruption import Interruption

        if self.max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency is {self.max_concurrency}; it takes at least 1 thread")
        self._interruption = interruption = Interruption()
        container = open_container(
            self.wasb_conn_id,
            self.container_name,
            interruption,
            max_concurrency=self.max_concurrency,
            create_container=self.create_container,
        )
        return container, interruption


class _CopyOperator(_S3ToAzureOperator):
    """What the operators that copy share: how objects are copied, and for how long at a time."""

    def __init__(
        self,
        *,
        block_size: int = DEFAULT_BLOCK_SIZE,
        overwrite: bool = True,
        verify: Literal["auto", "require"] = "auto",
        copy_tags: bool = False,
        access_tier: Literal["Hot", "Cool", "Cold", "Archive"] | None = None,
        discard_foreign_blocks: bool = False,
        slice: timedelta | None = None,  # noqa: A002 - the word for it
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.block_size = block_size
        self.overwrite = overwrite
        self.verify = verify
        self.copy_tags = copy_tags
        self.access_tier = access_tier
        self.discard_foreign_blocks = discard_foreign_blocks
        self.slice = slice

    def _copy_options(self) -> CopyOptions:
        from airflow_s3_azure.stream.copy import CopyOptions

        return CopyOptions(
            block_size=self.block_size,
            overwrite=self.overwrite,
            verify=self.verify,
            copy_tags=self.copy_tags,
            access_tier=self.access_tier,
            discard_foreign_blocks=self.discard_foreign_blocks,
        )

    def _slice_seconds(self) -> float | None:
        if self.slice is None:
            return None
        if self.slice <= timedelta(0):
            raise ConfigurationError(f"slice is {self.slice}; it takes a time above zero, such as timedelta(hours=1)")
        return self.slice.total_seconds()


class S3ToAzureBlobStreamOperator(_CopyOperator):
    """Copy one object from Amazon S3 to Azure Blob Storage, block by block, with nothing on disk.

    The object is read through presigned URLs in ranges that are pinned to its ETag. Azure checks a CRC-64 of each
    block on arrival, and the combined value is held against the checksum that S3 stored, before the blob becomes
    visible. A retried task copies only the blocks that are not staged yet. Memory is about
    ``max_concurrency * block_size``.

    Use ``.partial(...).expand(s3_key=keys)`` for one mapped task per key; keys that come from an XCom are then not
    rendered as templates. (``.expand_kwargs`` would render them: do not use it with keys you do not trust.)

    Returns a dictionary to XCom: ``key``, ``blob``, ``status`` (``copied``, ``unchanged``, ``skipped``), ``size``,
    ``blocks``, ``resumed_blocks``, ``etag`` (S3's), ``version_id``, ``blob_etag`` (Azure's), ``verified``
    (``crc64nvme``, ``crc32``, ``crc32c``, ``composite-crc32``, ``composite-crc32c``, ``md5`` or ``blocks``), ``bytes_read``, ``retries``, ``seconds``,
    ``mib_per_second``, ``reason``, ``error`` and ``retryable`` (always None: an error fails the task), ``source`` and ``destination``.

    :param s3_bucket: bucket to copy from (templated)
    :param s3_key: key to copy (templated)
    :param container_name: container to copy to (templated)
    :param blob_name: name of the blob; the key if it is not given (templated)
    :param blob_prefix: text to put before the key to make the blob's name; not together with ``blob_name`` (templated)
    :param aws_conn_id: Airflow connection to S3; None: boto3's default credentials (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage (templated)
    :param s3_version_id: a version to copy instead of the current one (templated)
    :param block_size: bytes in a block; grows by itself where Azure's 50,000 blocks would not suffice
    :param max_concurrency: blocks in flight, each with its thread and its buffer
    :param overwrite: replace a blob that is not a copy of this version of the object; False: skip it
    :param create_container: create the container if it is missing
    :param verify: ``"auto"``: verify against the checksum S3 stored, if it stored one; ``"require"``: fail if not
    :param copy_tags: copy the object's tags as blob index tags; one more request
    :param access_tier: of the new blob: ``"Hot"``, ``"Cool"``, ``"Cold"``, ``"Archive"``; None: the account's default
    :param discard_foreign_blocks: drop blocks that another tool left staged where they keep ours out and no blob exists
    :param slice: stop cleanly after this time and go on in a later execution of the same try: the worker is free in
        between and no retry is used up, so that a copy of days is many short tasks
    :param requester_pays: agree to pay for a requester-pays bucket
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_key",
        "container_name",
        "blob_name",
        "blob_prefix",
        "aws_conn_id",
        "wasb_conn_id",
        "s3_version_id",
    )
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        s3_key: str,
        blob_name: str | None = None,
        blob_prefix: str = "",
        s3_version_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_key = s3_key
        self.blob_name = blob_name
        self.blob_prefix = blob_prefix
        self.s3_version_id = s3_version_id

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow passes it
        """Copy the object; return what became of it.

        :raises AirflowFailException: if no retry can help
        :raises S3ToAzureError: if a retry can help; it resumes
        """
        from airflow_s3_azure.stream.objects import CopyRequest
        from airflow_s3_azure.stream.pool import copy_objects
        from airflow_s3_azure.stream.progress import duration_text, size_text

        with _airflow_failures():
            request = CopyRequest(self.s3_key, self._checked_name(), version_id=self.s3_version_id or None)
            options = self._copy_options()
            bucket, container, interruption = self._open()
            source, destination = bucket.source.url(self.s3_key), container.blobs.blob_url(request.blob)
            log.info("copying %r to %r", source, destination)
            (result,) = copy_objects(
                [request],
                bucket.source,
                container.blobs,
                options,
                interruption,
                max_concurrency=self.max_concurrency,
                slice_seconds=self._slice_seconds(),
                on_progress=_log_progress,
            )
            if result.error is not None:
                raise result.error
        log.info(
            "%s%s: %s in %s, %d blocks (%d resumed), verified by %s, %s read from S3, %d retries",
            result.status,
            f" ({result.reason})" if result.reason else "",
            size_text(result.size or 0),
            duration_text(result.seconds),
            result.blocks,
            result.resumed_blocks,
            result.verified or "nothing: nothing was copied",
            size_text(result.bytes_read),
            result.retries,
        )
        return result.as_json() | {"source": source, "destination": destination}

    def _checked_name(self) -> str:
        from airflow_s3_azure.sync.naming import Naming, why_refused

        if not self.s3_key:
            raise ConfigurationError("s3_key is empty; name the object to copy")
        if self.blob_name and self.blob_prefix:
            raise ConfigurationError("blob_name and blob_prefix are both given; give one of them")
        name = self.blob_name or Naming(self.blob_prefix).name(self.s3_key)
        if refused := why_refused(name):
            raise ConfigurationError(f"Azure cannot hold blob {name!r}: {refused}; give another blob_name")
        return name


class S3ToAzurePlanOperator(_S3ToAzureOperator):
    """List both sides and write down what must be copied; return one small reference per batch, to map over.

    The arguments are those of :func:`airflow_s3_azure.sync_group.s3_to_azure_sync`, which is the way to use it.
    The plan's totals are in XCom under the key ``plan``.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_prefix",
        "container_name",
        "blob_prefix",
        "strip_prefix",
        "include",
        "exclude",
        "modified_since",
        "modified_before",
        "aws_conn_id",
        "wasb_conn_id",
    )
    ui_color = "#eef7ee"

    def __init__(
        self,
        *,
        s3_prefix: str = "",
        blob_prefix: str = "",
        strip_prefix: str = "",
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        modified_since: datetime | str | None = None,
        modified_before: datetime | str | None = None,
        overwrite: bool = True,
        batch_objects: int,
        batch_size: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_prefix = s3_prefix
        self.blob_prefix = blob_prefix
        self.strip_prefix = strip_prefix
        self.include = include
        self.exclude = exclude
        self.modified_since = modified_since
        self.modified_before = modified_before
        self.overwrite = overwrite
        self.batch_objects = batch_objects
        self.batch_size = batch_size

    def execute(self, context: Context) -> list[dict[str, str | int]]:
        """Make the plan and write it down; return the references of its batches."""
        from airflow_s3_azure.stream.progress import size_text
        from airflow_s3_azure.sync.ledger import ROOT, PlanFolder
        from airflow_s3_azure.sync.listing import list_blobs, list_objects
        from airflow_s3_azure.sync.plan import make_plan

        with _airflow_failures():
            options = self._options()
            bucket, container, _ = self._open()
            ti = context["ti"]
            group = ti.task_id.rpartition(".")[0] or ti.task_id
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            folder = PlanFolder(container.client, f"{ROOT}/{ti.dag_id}/{ti.run_id}/{group}/{now}")
            source = bucket.source.url(self.s3_prefix)
            log.info("listing %r and %s", source, container.blobs.url)
            plan = make_plan(
                list_objects(bucket.client, bucket.name, self.s3_prefix, requester_pays=self.requester_pays),
                # The names of all keys under the prefix begin with the prefix's own name.
                list_blobs(container.client, options.naming.name(self.s3_prefix)),
                options,
                folder,
            )
        log.info(
            "%s keys selected: %s to copy (%s, %s batches), %s unchanged, %s skipped; manifest and ledger in %s",
            f"{plan.objects:,}",
            f"{plan.counts['copy']:,}",
            size_text(plan.size),
            f"{len(plan.batches):,}",
            f"{plan.counts['unchanged']:,}",
            f"{plan.counts['skipped']:,}",
            folder.url,
        )
        if not plan.objects:
            log.warning("no key is selected under %r: check s3_bucket, s3_prefix and the filters", source)
        ti.xcom_push(key=PLAN_KEY, value=plan.as_json())
        return [reference.as_json() for reference in plan.batches]

    def _options(self) -> PlanOptions:
        from airflow_s3_azure.sync.naming import Naming
        from airflow_s3_azure.sync.plan import PlanOptions
        from airflow_s3_azure.sync.select import Selection

        if not self.s3_prefix.startswith(self.strip_prefix):
            raise ConfigurationError(
                f"strip_prefix {self.strip_prefix!r} is not the beginning of s3_prefix {self.s3_prefix!r}, so there "
                "can be keys that do not begin with it"
            )
        if self.batch_objects < 1 or self.batch_size < 1:
            raise ConfigurationError("batch_objects and batch_size must be at least 1")
        return PlanOptions(
            selection=Selection(
                include=_strings("include", self.include),
                exclude=_strings("exclude", self.exclude),
                modified_since=_time("modified_since", self.modified_since),
                modified_before=_time("modified_before", self.modified_before),
            ),
            naming=Naming(blob_prefix=self.blob_prefix, strip_prefix=self.strip_prefix),
            overwrite=self.overwrite,
            batch_objects=self.batch_objects,
            batch_size=self.batch_size,
        )


class S3ToAzureCopyBatchOperator(_CopyOperator):
    """Copy one batch of a plan over one bounded pool of threads, and write its part of the ledger.

    A failed object does not stop the others; the task fails at its end if any failed, and its retry copies only what
    is not done. Returns a summary to XCom: ``label``, counts by status, ``copied_bytes``, ``seconds``.

    :param batch: what the plan returned for this batch; mapped, and never rendered as a template
    """

    template_fields: Sequence[str] = ("s3_bucket", "container_name", "aws_conn_id", "wasb_conn_id")
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        batch: Mapping[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.batch = batch

    def execute(self, context: Context) -> dict[str, Any]:
        """Copy what the batch's manifest names and its ledger does not have yet."""
        from airflow_s3_azure.stream.progress import duration_text, size_text
        from airflow_s3_azure.sync.ledger import PlanFolder
        from airflow_s3_azure.sync.plan import BatchReference
        from airflow_s3_azure.sync.run import BatchRun

        with _airflow_failures():
            reference = BatchReference.from_json(self.batch)
            options = self._copy_options()
            bucket, container, interruption = self._open()
            folder = PlanFolder(container.client, reference.folder)
            run = BatchRun(reference, folder, try_number=context["ti"].try_number)
            log.info("batch %d: %s", reference.index, reference.label)
            run.copy(
                bucket.source,
                container.blobs,
                options,
                interruption,
                max_concurrency=self.max_concurrency,
                slice_seconds=self._slice_seconds(),
            )
            summary = run.summary()
        log.info(
            "batch %d: %s copied, %s unchanged, %s skipped, %s failed; %s in %s",
            reference.index,
            *(f"{summary[status]:,}" for status in ("copied", "unchanged", "skipped", "failed")),
            size_text(summary["copied_bytes"]),
            duration_text(summary["seconds"]),
        )
        if run.has_failures:
            context["ti"].xcom_push(key="return_value", value=summary)  # a task that fails returns nothing
        with _airflow_failures():
            run.raise_failures()
        return summary


class S3ToAzureReportOperator(_S3ToAzureOperator):
    """Add up the ledger of a plan, write ``summary.json``, and fail if any key failed or is not accounted for.

    Returns the totals to XCom: ``objects``, ``copied``, ``unchanged``, ``skipped``, ``failed``, ``missing``,
    ``copied_bytes``, ``bytes_read``, ``verified``, ``failures`` (the first ten), ``ledger`` (its URL).

    :param plan_task_id: the task that made the plan
    """

    template_fields: Sequence[str] = ("s3_bucket", "container_name", "aws_conn_id", "wasb_conn_id")
    ui_color = "#eef7ee"

    def __init__(self, *, plan_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Report; the run's colour is this task's."""
        from airflow_s3_azure.sync.ledger import PlanFolder
        from airflow_s3_azure.sync.report import Report

        ti = context["ti"]
        plan = ti.xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY)
        if plan is None:
            raise AirflowFailException(f"task {self.plan_task_id} made no plan, so nothing was copied; see its log")
        with _airflow_failures():
            container, _ = self._open_destination()
            folder = PlanFolder(container.client, plan["folder"])
            report = Report(planned=plan["objects"])
            report.add(folder.read_whole_ledger())
            summary = report.as_json() | {"ledger": f"{folder.url}ledger/"}
            folder.write_summary(summary)
        log.info("result of the run, in %s\n%s", summary["ledger"], report.table())
        if not report.is_good:
            ti.xcom_push(key="return_value", value=summary)  # a task that fails returns nothing
            raise AirflowFailException(f"{report.verdict()}\nledger: {summary['ledger']}")
        return summary


def _log_progress(progress: Progress) -> None:
    if progress.total:  # before that nobody knows how much there is
        log.info("%s", progress.describe())


@contextmanager
def _airflow_failures() -> Iterator[None]:
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


def _strings(name: str, value: Sequence[str] | None) -> Sequence[str]:
    if isinstance(value, str):
        raise ConfigurationError(f"{name} is the text {value!r}; it takes a list of globs")
    return value or ()


def _time(name: str, value: datetime | str | None) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    if value.strip() in ("", "None"):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ConfigurationError(f"{name} is {value!r}; it takes a time such as 2026-11-22T00:00:00+00:00") from None
