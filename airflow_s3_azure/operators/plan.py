"""The operator that makes the plan of a sync."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures
from airflow_s3_azure.stream.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.sync.plan import PlanOptions

log = logging.getLogger(__name__)

PLAN_KEY = "plan"
"""XCom key of the plan's totals."""


class S3ToAzurePlanOperator(ConnectedOperator):
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

        with airflow_failures():
            options = self._options()
            bucket, container, _ = self._open()
            ti = context["ti"]
            group = ti.task_id.rpartition(".")[0] or ti.task_id
            now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            folder = PlanFolder(container.client, f"{ROOT}/{ti.dag_id}/{ti.run_id}/{group}/{now}")
            self.ledger_url = f"{folder.url}ledger/"
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
