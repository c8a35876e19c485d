"""The operators that make the plan of a sync: one per prefix, and one that combines several plans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.quoting import get_logger, printable
from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.operators.arguments import read_argument
from airflow_s3_azure.operators.connected import MAX_MAP_LABEL, CopyingOperator, airflow_failures
from airflow_s3_azure.operators.key_list import KeyList, open_key_list
from airflow_s3_azure.operators.option_groups import accepts, read_options, templated
from airflow_s3_azure.operators.plan_arguments import PlanArguments, max_batches
from airflow_s3_azure.operators.plan_log import archived_totals, log_archived, log_totals
from airflow_s3_azure.operators.run_conf import check_run_conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.connections import AzureContainer, S3Bucket
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.engine.model import BlobState
    from airflow_s3_azure.preflight.plan_checks import PlanChecks
    from airflow_s3_azure.sync.ledger import PlanFolder
    from airflow_s3_azure.sync.listed_object import ListedObject
    from airflow_s3_azure.sync.plan_model import Listing, PlanOptions

log = get_logger(__name__)

PLAN_KEY = "plan"
"""XCom key of a plan's totals."""
LEDGER_KEY = "ledger"
"""XCom key of the fingerprint of the deletion's part of the ledger."""
DELETE_PART = "delete"
"""The deletion's part of the ledger."""


class S3ToAzurePlanOperator(CopyingOperator):
    """Compare source and destination, write the manifest, and return one small reference per batch, to map over.

    The arguments are those of :func:`airflow_s3_azure.sync_group.s3_to_azure_sync`, which creates this task.
    The plan's totals are in XCom under the key ``plan``.
    """

    template_fields: Sequence[str] = templated(Endpoints, CopyOptions, PlanArguments)
    ui_color = "#eef7ee"

    @accepts(PlanArguments)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    @property
    def map_label(self) -> str:
        """Label of a mapped task in the UI: the prefix, printable and short."""
        return printable(str(vars(self)["s3_prefix"]), MAX_MAP_LABEL)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Make the plan and return the references of its batches; none in a dry run."""
        from airflow_s3_azure.metrics import send_counts
        from airflow_s3_azure.preflight.plan_checks import PlanChecks
        from airflow_s3_azure.sync.ledger import run_folder
        from airflow_s3_azure.sync.planner import make_plan

        started = datetime.now(UTC)
        with airflow_failures():
            check_run_conf(context)
            copy, arguments = self._copy_options(), read_options(PlanArguments, self)
            options = arguments.plan_options(copy, max_batches=max_batches())
            checks = PlanChecks(is_enabled=arguments.preflight)
            bucket, container, cancellation = self._open(copy, observers=(checks.s3, checks.azure))
            ti = context["ti"]
            folder = _new_folder(ti, started, container, cancellation)
            self.ledger_url = folder.ledger_url
            # The common prefix of the blob names of all keys under the prefix.
            blob_prefix = options.naming.common_prefix(options.prefix)
            guardrails = self._check_guardrails(bucket, container, options, blob_prefix)
            source, destination = bucket.source.url(options.prefix), container.blobs.blob_url(blob_prefix)
            options = replace(options, bucket=bucket.name)
            checks.check_account(container.blobs, copy_tags=copy.copy_tags)
            key_list: KeyList | None = None
            if arguments.keys == "":
                log.info("listing %r and %s", source, destination)
                listings = self._listings(bucket, container, options, blob_prefix, cancellation, checks=checks)
            else:
                key_list = open_key_list(arguments.keys, read_options(Endpoints, self), bucket, container, cancellation)
                listings, options = key_list.listings(
                    options,
                    folder,
                    bucket=bucket,
                    container=container,
                    cancellation=cancellation,
                    threads=copy.max_concurrency,
                )
            plan = make_plan(*listings, options, folder, cancellation)
            guardrails.check_run(plan.counts["copy"], plan.size)
            checks.log_clocks()
            checks.check_read(bucket.source, options.prefix, copies=plan.counts["copy"])
            if not plan.objects:
                _check_selects_nothing(bucket, options.prefix, arguments, cancellation)
        dry_run, price = arguments.is_dry_run, arguments.egress_price_per_gib
        archived = archived_totals(plan, copy, arguments.restore_price_per_gib)
        log_archived(archived, copy.archived)
        log_totals(plan, folder.url, dry_run=dry_run, price=price)
        send_counts(ti, {f"objects.{status}": plan.counts[status] for status in ("unchanged", "skipped")})
        totals = {
            "archived": archived,
            "s3_prefix": arguments.s3_prefix,
            "source": source,
            "destination": destination,
            "blob_prefix": blob_prefix,
            "ledger": folder.ledger_url,
            "dry_run": dry_run,
            "cost": plan.cost.as_json(price),
            "started_at": started.isoformat(),
            "key_list": key_list.as_json() if key_list else None,
        }
        ti.xcom_push(key=PLAN_KEY, value=plan.as_json() | totals)
        return [] if dry_run else [one.as_json(run_folder(ti.dag_id, ti.run_id)) for one in plan.batches]

    def _check_guardrails(
        self, bucket: S3Bucket, container: AzureContainer, options: PlanOptions, blob_prefix: str
    ) -> Guardrails:
        """Check the prefixes and the deletion of a plan before it lists anything; return this Airflow's guardrails."""
        guardrails = Guardrails.configured()
        guardrails.check_source(bucket.name, options.prefix, is_prefix=True)
        conn_id = read_options(Endpoints, self).wasb_conn_id
        guardrails.check_destination(conn_id, container.blobs.url, blob_prefix, is_prefix=True)
        if options.delete:
            guardrails.check_delete()
        return guardrails

    @staticmethod
    def _listings(
        bucket: S3Bucket,
        container: AzureContainer,
        options: PlanOptions,
        blob_prefix: str,
        cancellation: Cancellation,
        *,
        checks: PlanChecks,
    ) -> tuple[Listing[ListedObject], Listing[tuple[str, BlobState]]]:
        """Return the listings of source and destination."""
        from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket
        from airflow_s3_azure.sync.key_ranges import ServiceOrder
        from airflow_s3_azure.sync.listing import list_blobs, list_objects
        from airflow_s3_azure.sync.plan_model import Listing

        # Directory buckets do not list in lexicographic order.
        of_objects, of_blobs = ServiceOrder(not is_directory_bucket(bucket.name)), ServiceOrder()

        def objects() -> Iterator[ListedObject]:
            listed = list_objects(bucket.source, options.prefix, order=of_objects, cancellation=cancellation)
            return checks.sampled(listed, options.selection.__contains__)

        source = Listing(objects, is_sorted=of_objects.is_by_name)
        covers = options.naming.covers

        def blobs() -> Iterator[tuple[str, BlobState]]:
            listed = list_blobs(
                container.blobs, blob_prefix, order=of_blobs, cancellation=cancellation, with_directories=True
            )
            return (one for one in listed if covers(one[0], options.prefix)) if options.naming.rename else listed

        return source, Listing(blobs)


def _new_folder(ti: Any, started: datetime, container: AzureContainer, cancellation: Cancellation) -> PlanFolder:
    """Return the folder of a plan, which no other plan has."""
    from airflow_s3_azure.sync.ledger import PlanFolder, folder_name, run_folder

    group = ti.task_id.rpartition(".")[0] or ti.task_id
    name, run = folder_name(started, ti.map_index), run_folder(ti.dag_id, ti.run_id)
    return PlanFolder(container.client, f"{run}/{group}/{name}", cancellation)


def _check_selects_nothing(bucket: S3Bucket, prefix: str, arguments: PlanArguments, cancellation: Cancellation) -> None:
    """Warn that no key is selected.

    :raises PlanError: if the prefix is certainly wrong, or ``require_keys`` is set
    """
    from airflow_s3_azure.sync.listing import list_objects

    def has_keys(prefix: str) -> bool:
        return next(list_objects(bucket.source, prefix, cancellation=cancellation), None) is not None

    if arguments.keys != "":
        message = "no key of the list is selected: check keys, s3_prefix and the filters"
        if arguments.require_keys:
            raise PlanError(message)
        log.warning("%s", message)
        return
    stripped = prefix.lstrip("/")
    if stripped != prefix and not has_keys(prefix) and has_keys(stripped):
        meant = arguments.s3_prefix.lstrip("/")
        raise PlanError(
            f"no key begins with s3_prefix {arguments.s3_prefix!r}, but keys begin with {meant!r}: set s3_prefix={meant!r}. "
            "In S3, a leading slash is part of the key"
        )
    message = f"no key is selected under {bucket.source.url(prefix)!r}: check s3_bucket, s3_prefix and the filters"
    if arguments.require_keys:
        raise PlanError(message)
    log.warning("%s", message)


class S3ToAzureBatchesOperator(BaseOperator):
    """Combine the plans of several prefixes: return the references of all their batches, to map over.

    All plans' totals are in XCom under the key ``plan``, as ``plans``.

    :param plan_task_id: the mapped task that made the plans
    :param blob_template: of the plans (templated)
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
        """Return the references; neighbours of a plan are joined if there are more than Airflow can map over."""
        from airflow_s3_azure.engine.progress import count_text
        from airflow_s3_azure.sync.budget import Budget
        from airflow_s3_azure.sync.ledger import map_index_of, run_folder
        from airflow_s3_azure.sync.naming import Naming
        from airflow_s3_azure.sync.overlaps import check_destinations, check_prefixes
        from airflow_s3_azure.sync.references import BatchReference, joined_batches

        ti = context["ti"]
        # XCom still holds the values of map indexes that existed only in an earlier try of the run.
        states = task_states(ti, self.plan_task_id)
        made = {int(name.rpartition("_")[2]) for name, state in states.items() if state == "success"}
        # A list of tasks: then one request returns the values of all map indexes.
        values = ti.xcom_pull(task_ids=[self.plan_task_id], key=PLAN_KEY)
        plans = [plan for plan in values if plan is not None and map_index_of(plan["folder"]) in made]
        if missing := made - {map_index_of(plan["folder"]) for plan in plans}:
            raise _no_plan(", ".join(f"{self.plan_task_id}[{index}]" for index in sorted(missing)[:10]))
        folders = {plan["folder"] for plan in plans}
        lists = ti.xcom_pull(task_ids=[self.plan_task_id])
        run = run_folder(ti.dag_id, ti.run_id)
        found = [BatchReference.from_json(one, run) for each in lists for one in each or ()]
        with airflow_failures():
            check_prefixes([plan["s3_prefix"] for plan in plans])
            check_destinations([plan["destination"] for plan in plans], Naming(template=self.blob_template))
            budget = Budget(read_argument("max_objects", self.max_objects), read_argument("max_bytes", self.max_bytes))
            objects, size = sum(plan["counts"]["copy"] for plan in plans), sum(plan["size"] for plan in plans)
            Guardrails.configured().check_run(objects, size)
            budget.check(objects, size, f"manifest.jsonl in the folders of all {len(plans)} plans")
            references = joined_batches(
                [reference for reference in found if reference.folder in folders], max_batches()
            )
        log.info("%s, %s", count_text(len(plans), "plan"), count_text(len(references), "batch"))
        ti.xcom_push(key=PLAN_KEY, value={"plans": plans})
        return [reference.as_json(run) for reference in references]


def plans_of(ti: Any, task_id: str) -> list[dict[str, Any]]:
    """Return the totals of the plan that a task made, or of the plans that it combined; none if it failed.

    :raises AirflowFailException: if it is a success without a plan, or an earlier version made the plan
    """
    # XCom still holds the values of an earlier try of the run if the task did not start in this one.
    if task_states(ti, task_id).get(task_id) != "success":
        return []
    found = ti.xcom_pull(task_ids=task_id, key=PLAN_KEY)
    if found is None:
        raise _no_plan(task_id)
    plans = list(found["plans"]) if "plans" in found else [found]
    if any("settled" not in plan for plan in plans):
        raise AirflowFailException(
            f"an earlier version of airflow-s3-azure made the plan; clear task {task_id} to make a new one"
        )
    return plans


def _no_plan(task: str) -> AirflowFailException:
    return AirflowFailException(
        f"{task} is a success, but made no plan, probably because it was marked as success by hand; nothing of it is copied. "
        f"Clear {task} with its downstream tasks to make the plan"
    )


def task_states(ti: Any, task_id: str) -> dict[str, str]:
    """Return the state of another task of the run by its id; of a mapped one by its id, ``_`` and the map index."""
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id])
    return {name: str(state) for name, state in states.get(ti.run_id, {}).items()}
