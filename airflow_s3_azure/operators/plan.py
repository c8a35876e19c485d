"""The operators that make the plan of a sync: one for each prefix, and one that puts several plans together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from airflow.sdk import BaseOperator

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.engine.errors import ConfigurationError, PlanError
from airflow_s3_azure.operators.arguments import day, flag, number, strings, time, whole
from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.sync.days import DayRange
    from airflow_s3_azure.sync.plan import Plan, PlanOptions

log = logging.getLogger(__name__)

PLAN_KEY = "plan"
"""XCom key of a plan's totals."""


class S3ToAzurePlanOperator(ConnectedOperator):
    """List both sides and write down what must be copied; return one small reference per batch, to map over.

    The arguments are those of :func:`airflow_s3_azure.sync_group.s3_to_azure_sync`, which is the way to use it.
    The plan's totals are in XCom under the key ``plan``.
    """

    template_fields: Sequence[str] = (
        "s3_bucket",
        "s3_prefix",
        "day_folder",
        "first_day",
        "last_day",
        "container_name",
        "blob_prefix",
        "strip_prefix",
        "blob_template",
        "include",
        "exclude",
        "modified_since",
        "modified_before",
        "storage_classes",
        "compare",
        "overwrite",
        "is_dry_run",
        "egress_price_per_gib",
        "max_objects",
        "max_bytes",
        "max_delete",
        "aws_conn_id",
        "wasb_conn_id",
    )
    ui_color = "#eef7ee"

    def __init__(
        self,
        *,
        s3_prefix: str = "",
        day_folder: str = "",
        first_day: date | str | None = None,
        last_day: date | str | None = None,
        blob_prefix: str = "",
        strip_prefix: str = "",
        blob_template: str = "",
        rename: bool = False,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        modified_since: datetime | str | None = None,
        modified_before: datetime | str | None = None,
        lookback: timedelta = timedelta(0),
        min_size: int = 0,
        max_size: int | None = None,
        storage_classes: Sequence[str] = (),
        require_keys: bool = False,
        compare: str = "etag",
        overwrite: bool | str = True,
        is_dry_run: bool | str = False,
        egress_price_per_gib: float | str | None = None,
        max_objects: int | str | None = None,
        max_bytes: int | str | None = None,
        delete: bool = False,
        max_delete: float | str = 0.1,
        block_size: int = DEFAULT_BLOCK_SIZE,
        batch_objects: int,
        batch_size: int,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_prefix = s3_prefix
        self.day_folder = day_folder
        self.first_day = first_day
        self.last_day = last_day
        self.blob_prefix = blob_prefix
        self.strip_prefix = strip_prefix
        self.blob_template = blob_template
        self.rename = rename
        self.include = include
        self.exclude = exclude
        self.modified_since = modified_since
        self.modified_before = modified_before
        self.lookback = lookback
        self.min_size = min_size
        self.max_size = max_size
        self.storage_classes = storage_classes
        self.require_keys = require_keys
        self.compare = compare
        self.overwrite = overwrite
        self.is_dry_run = is_dry_run
        self.egress_price_per_gib = egress_price_per_gib
        self.max_objects = max_objects
        self.max_bytes = max_bytes
        self.delete = delete
        self.max_delete = max_delete
        self.block_size = block_size
        self.batch_objects = batch_objects
        self.batch_size = batch_size

    def execute(self, context: Context) -> list[dict[str, str | int]]:
        """Make the plan and write it down; return the references of its batches, none if it is a dry run."""
        from airflow_s3_azure.metrics import send_counts
        from airflow_s3_azure.sync.ledger import ROOT, PlanFolder
        from airflow_s3_azure.sync.listing import list_blobs, list_objects
        from airflow_s3_azure.sync.plan import Listing, make_plan

        with airflow_failures():
            started = datetime.now(UTC)
            options, dry_run = self._options(), flag("dry_run", self.is_dry_run)
            price = number("egress_price_per_gib", self.egress_price_per_gib)
            bucket, container, cancellation = self._open()
            ti = context["ti"]
            group = ti.task_id.rpartition(".")[0] or ti.task_id
            name = started.strftime("%Y%m%dT%H%M%SZ")
            if ti.map_index is not None and ti.map_index >= 0:
                name += f"-{ti.map_index:05d}"
            folder = PlanFolder(container.client, f"{ROOT}/{ti.dag_id}/{ti.run_id}/{group}/{name}")
            self.ledger_url = folder.ledger_url
            days = options.selection.days
            prefix = self.s3_prefix if days is None else days.shared_prefix
            source = bucket.source.url(prefix)
            # The names of all keys under the prefix begin with it.
            blob_prefix = options.naming.common_prefix(prefix)
            destination = container.blobs.blob_url(blob_prefix)
            log.info("listing %r and %s", source, destination)
            plan = make_plan(
                Listing(
                    lambda: list_objects(bucket.client, bucket.name, prefix, requester_pays=self.requester_pays),
                    # Directory buckets list in an order of their own.
                    is_sorted=not bucket.name.endswith("--x-s3"),
                ),
                Listing(
                    lambda: (
                        entry
                        for entry in list_blobs(container.client, blob_prefix)
                        if options.naming.covers(entry[0], prefix)
                    )
                ),
                options,
                folder,
                cancellation,
            )
            if not plan.objects:
                message = f"no key is selected under {source!r}: check s3_bucket, s3_prefix and the filters"
                if self.require_keys:
                    raise PlanError(message)
                log.warning("%s", message)
        self._tell(plan, folder.url, dry_run=dry_run, price=price)
        send_counts(ti, {f"objects.{status}": plan.counts[status] for status in ("unchanged", "skipped")})
        ti.xcom_push(
            key=PLAN_KEY,
            value=plan.as_json()
            | {
                "s3_prefix": self.s3_prefix,
                "source": source,
                "destination": destination,
                "ledger": folder.ledger_url,
                "dry_run": dry_run,
                "cost": plan.cost.as_json(price),
                "started_at": started.isoformat(),
            },
        )
        return [] if dry_run else [reference.as_json() for reference in plan.batches]

    def _tell(self, plan: Plan, url: str, *, dry_run: bool, price: float | None) -> None:
        from airflow_s3_azure.engine.progress import size_text

        log.info(
            "%s keys selected: %s to copy (%s, %s batches), %s unchanged, %s skipped",
            f"{plan.objects:,}",
            f"{plan.counts['copy']:,}",
            size_text(plan.size),
            f"{len(plan.batches):,}",
            f"{plan.counts['unchanged']:,}",
            f"{plan.counts['skipped']:,}",
        )
        log.info("manifest and ledger: %s", url)
        cost = plan.cost.as_json(price)
        log.info(
            "cost: %s requests to S3, %s to Azure, %.3f GiB out of S3%s",
            f"{cost['s3_requests']:,}",
            f"{cost['azure_requests']:,}",
            cost["egress_gib"],
            "" if price is None else f" at {price:g} each: {cost['egress_price']:,.2f}",
        )
        if plan.extra:
            log.info("%s blobs have no key any more", f"{plan.extra:,}")
        if plan.delete_refused:
            log.warning("none of them will be deleted: %s", plan.delete_refused)
        if dry_run:
            log.info("this is a dry run: nothing will be copied or deleted")

    def _options(self) -> PlanOptions:
        from airflow_s3_azure.sync.compare import Compare
        from airflow_s3_azure.sync.naming import Naming
        from airflow_s3_azure.sync.plan import Budget, PlanOptions
        from airflow_s3_azure.sync.select import Selection

        if not self.s3_prefix.startswith(self.strip_prefix):
            raise ConfigurationError(
                f"strip_prefix {self.strip_prefix!r} is not the beginning of s3_prefix {self.s3_prefix!r}, so there "
                "can be keys that do not begin with it"
            )
        if self.batch_objects < 1 or self.batch_size < 1:
            raise ConfigurationError("batch_objects and batch_size must be at least 1")
        compare = next((one for one in get_args(Compare) if one == self.compare), None)
        if compare is None:
            raise ConfigurationError(f"compare is {self.compare!r}; it takes 'etag', 'size' or 'always'")
        naming = Naming(
            blob_prefix=self.blob_prefix,
            strip_prefix=self.strip_prefix,
            template=self.blob_template,
            rename=self.rename,
        )
        days = self._days()
        if self.delete and not naming.separates(prefix := self.s3_prefix if days is None else days.shared_prefix):
            raise ConfigurationError(
                f"with blob_template {self.blob_template!r} blobs of keys outside the prefix {prefix!r} could be "
                "deleted; begin the template's fields with {key}, or with {folder} and end s3_prefix with a slash, or "
                "leave delete out"
            )
        since = time("modified_since", self.modified_since)
        max_delete = number("max_delete", self.max_delete)
        return PlanOptions(
            selection=Selection(
                include=strings("include", self.include),
                exclude=strings("exclude", self.exclude),
                modified_since=since - self.lookback if since else None,
                modified_before=time("modified_before", self.modified_before),
                min_size=self.min_size,
                max_size=self.max_size,
                storage_classes=strings("storage_classes", self.storage_classes),
                days=days,
            ),
            naming=naming,
            compare=compare,
            overwrite=flag("overwrite", self.overwrite),
            delete=self.delete,
            budget=Budget(
                max_objects=whole("max_objects", self.max_objects),
                max_bytes=whole("max_bytes", self.max_bytes),
                max_delete=0.0 if max_delete is None else max_delete,
            ),
            batch_objects=self.batch_objects,
            batch_size=self.batch_size,
            block_size=self.block_size,
        )

    def _days(self) -> DayRange | None:
        from airflow_s3_azure.sync.days import DayRange

        first, last = day("first_day", self.first_day), day("last_day", self.last_day)
        if self.day_folder:
            return DayRange(self.s3_prefix, self.day_folder, first, last)
        if first or last:
            raise ConfigurationError(
                "first_day or last_day is given, but no day_folder that says where a key has its day"
            )
        return None


class S3ToAzureBatchesOperator(BaseOperator):
    """Put the plans of several prefixes together: return the references of all their batches, to map over.

    All plans' totals are in XCom under the key ``plan``, as ``plans``.

    :param plan_task_id: the mapped task that made the plans
    :param blob_template: that the plans name blobs by (templated)
    :param max_objects: fail if there are more objects to copy in all of them (templated)
    :param max_bytes: fail if there are more bytes to copy in all of them (templated)
    """

    template_fields: Sequence[str] = ("blob_template", "max_objects", "max_bytes")
    ui_color = "#eef7ee"

    def __init__(
        self,
        *,
        plan_task_id: str,
        blob_template: str = "",
        max_objects: int | str | None = None,
        max_bytes: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id
        self.blob_template = blob_template
        self.max_objects = max_objects
        self.max_bytes = max_bytes

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Return the references; neighbours of a plan are joined where they are more than Airflow maps over."""
        from airflow_s3_azure.sync.naming import Naming
        from airflow_s3_azure.sync.plan import (
            BatchReference,
            Budget,
            check_destinations,
            check_prefixes,
            joined_batches,
        )

        ti = context["ti"]
        # XCom still holds what was told of prefixes that were there in an earlier try of the run.
        states = task_states(ti, self.plan_task_id)
        made = sorted(int(name.rpartition("_")[2]) for name, state in states.items() if state == "success")
        plans = ti.xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY, map_indexes=made)
        lists = ti.xcom_pull(task_ids=self.plan_task_id, map_indexes=made)
        with airflow_failures():
            check_prefixes([plan["s3_prefix"] for plan in plans])
            check_destinations([plan["destination"] for plan in plans], Naming(template=self.blob_template))
            budget = Budget(whole("max_objects", self.max_objects), whole("max_bytes", self.max_bytes))
            costs = [plan["cost"] for plan in plans]
            objects, size = (sum(cost[name] for cost in costs) for name in ("objects", "bytes"))
            budget.check(objects, size, f"manifest.jsonl in the folders of all {len(plans)} plans")
            references = joined_batches([BatchReference.from_json(one) for each in lists for one in each])
        log.info("%d plans, %d batches", len(plans), len(references))
        ti.xcom_push(key=PLAN_KEY, value={"plans": plans})
        return [reference.as_json() for reference in references]


def plans_of(ti: Any, task_id: str) -> list[dict[str, Any]]:
    """Return the totals of the plan that a task made, or of those that it put together; none if it did neither."""
    # XCom still holds what it told in an earlier try of the run if it did not even begin in this one.
    if task_states(ti, task_id).get(task_id) != "success":
        return []
    found = ti.xcom_pull(task_ids=task_id, key=PLAN_KEY)
    return list(found["plans"]) if "plans" in found else [found]


def task_states(ti: Any, task_id: str) -> dict[str, str]:
    """Return the state of another task of the run by its id; of a mapped one by its id, ``_`` and the map index."""
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
    return {name: str(state) for name, state in states.get(ti.run_id, {}).items()}
