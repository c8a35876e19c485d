"""The operator that reports the result of a sync."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures
from airflow_s3_azure.operators.key_list import age_text
from airflow_s3_azure.operators.option_groups import templated
from airflow_s3_azure.operators.plan import DELETE_PART, LEDGER_KEY, plans_of, task_states
from airflow_s3_azure.operators.run_conf import is_triggered_with_conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.connections import AzureContainer
    from airflow_s3_azure.lineage import Moved
    from airflow_s3_azure.sync.fingerprint import Fingerprint
    from airflow_s3_azure.sync.ledger import PlanFolder
    from airflow_s3_azure.sync.references import BatchReference
    from airflow_s3_azure.sync.run_report import Report

log = get_logger(__name__)

DRY_RUN_KEY = "s3_to_azure_dry_run"
"""XCom key that only dry runs have."""


class S3ToAzureReportOperator(ConnectedOperator):
    """Add up the ledger of a sync, write ``summary.json``, and fail if any key failed or is not accounted for.

    Returns the totals to XCom: ``source``, ``destination``, ``ledger`` (URLs), ``objects`` (keys planned), ``copied``,
    ``unchanged``, ``skipped``, ``failed``, ``archived`` (skipped keys whose object is archived), ``deleted``, ``missing``, ``copied_bytes``, ``bytes_read``, ``seconds``
    (since the plan began), ``copy_seconds`` (in which at least one batch copied), ``bytes_per_second`` (over ``copy_seconds``),
    ``verified`` (copied objects by what verified them), ``failures`` and ``skips`` (the first ten),
    ``incomplete_batches`` (map indexes of batches with keys that failed or are not in the ledger), ``missing_keys``
    (the first ten of the latter), ``dry_run``, ``files_digest`` (SHA-256 of the list of the run's files in
    ``summary.json``; None if an earlier version wrote one of them), ``conflicts`` (planned keys whose blob's name held what no
    copy can overwrite, by conflict), ``cost``, ``key_list`` (``url`` of a list of keys, and ``created_at`` of
    an inventory; None if the bucket was listed), ``data_interval_start`` and ``data_interval_end``. The numbers
    are also the ``extra`` of the asset events of its outlets; a dry run changes no data and emits none. It pushes the XCom
    ``s3_to_azure_dry_run`` instead, by which the UI marks dry runs: lists of XComs have keys but no values.

    If the plan was skipped, the report is skipped too.

    :param plan_task_id: the task that made the plan, or combined several
    :param copy_task_id: the mapped task that copied the batches; None: ``copy`` of the same task group
    :param delete_task_id: the task that deletes orphaned blobs; None: there is none
    """

    template_fields: Sequence[str] = templated(Endpoints)
    ui_color = "#eef7ee"

    def __init__(
        self, *, plan_task_id: str, copy_task_id: str | None = None, delete_task_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id
        self.copy_task_id = copy_task_id or ".".join([*plan_task_id.split(".")[:-1], "copy"])
        self.delete_task_id = delete_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Report. The state of this task is the state of the run."""
        from airflow_s3_azure.metrics import send_freshness
        from airflow_s3_azure.sync.ledger import PlanFolder
        from airflow_s3_azure.sync.plan_conflicts import total_conflicts
        from airflow_s3_azure.sync.run_files import files_digest, run_files

        ti = context["ti"]
        plans = self._plans(ti)
        dry_run = any(plan["dry_run"] for plan in plans)
        with airflow_failures():
            container, _ = self._open_destination()
            self.ledger_url = _urls(plans)["ledger"]
            batches = self._batches(ti)
            summaries = self._summaries(ti, batches)
            written = self._written(ti, summaries)
            report = self._added_up(plans, container, batches, written)
            if dry_run:
                self.moved = []
            seconds = (datetime.now(UTC) - _started(plans)).total_seconds()
            files = run_files(_fingerprints(plans, container, batches, written))
            summary = {
                **_urls(plans),
                **report.as_json(),
                **self._incomplete(ti, container, report, dry_run=dry_run),
                "seconds": round(seconds, 1),
                **_throughput(summaries, report, seconds),
                "dry_run": dry_run,
                "files_digest": files_digest(files),
                "conflicts": total_conflicts(plans),
                "cost": _cost(plans),
                "key_list": plans[0].get("key_list"),  # a plan of an earlier version has none
                **_interval(context),
            }
            url = PlanFolder(container.client, plans[0]["folder"]).write_summary({**summary, "files": files})
        _log(report, summary, seconds, url)
        if text := age_text(summary["key_list"], datetime.fromisoformat(plans[0]["started_at"])):
            log.info("%s", text)
        problems = [report.verdict()] if not report.is_good else []
        problems += self._why_not_deleted(ti, plans)
        if problems:
            ti.xcom_push(key="return_value", value=summary)  # a task that fails returns nothing
            raise AirflowFailException("\n".join([*problems, f"ledger: {summary['ledger']}"]))
        self._announce(context, summary)
        if not dry_run and not is_triggered_with_conf(context):
            send_freshness(ti, _started(plans), getattr(context["dag_run"], "data_interval_end", None))
        return summary

    def _plans(self, ti: Any) -> list[dict[str, Any]]:
        """Return the totals of the plans.

        :raises AirflowSkipException: if planning was skipped
        :raises AirflowFailException: if it made none
        """
        if task_states(ti, self.plan_task_id).get(self.plan_task_id) == "skipped":
            raise AirflowSkipException(
                f"task {self.plan_task_id} was skipped: there was no prefix, or a task before it was skipped"
            )
        plans = plans_of(ti, self.plan_task_id)
        if not plans:
            raise AirflowFailException(f"task {self.plan_task_id} made no plan, so nothing was copied; see its log")
        return plans

    def _added_up(
        self,
        plans: Sequence[Mapping[str, Any]],
        container: AzureContainer,
        batches: Sequence[BatchReference],
        written: Mapping[str, Fingerprint],
    ) -> Report:
        """Return the report on all plans, and keep what each of them moved for OpenLineage."""
        from airflow_s3_azure.sync.ledger import PlanFolder
        from airflow_s3_azure.sync.run_report import Report

        report = Report(planned=sum(_expected(plan) for plan in plans))
        for plan in plans:
            folder = PlanFolder(container.client, plan["folder"])
            files, size = report.counts["copied"], report.copied_size
            _add(report, folder, plan, [one for one in batches if one.folder == folder.path], written)
            files, size = report.counts["copied"] - files, report.copied_size - size
            self.moved.append(self._moved(plan, container, files, size))
        return report

    def _announce(self, context: Context, summary: Mapping[str, Any]) -> None:
        """Put the totals into the asset events of a good run; a dry run emits none and is marked in XCom."""
        if summary["dry_run"]:
            context["ti"].xcom_push(key=DRY_RUN_KEY, value=True)
            self.outlets = []  # Airflow emits an event for each outlet that is set when the task ends
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra.update(
                {name: value for name, value in summary.items() if isinstance(value, int | float | str)}
            )

    def _batches(self, ti: Any) -> list[BatchReference]:
        """Return the references of all batches, by map index."""
        from airflow_s3_azure.sync.ledger import run_folder
        from airflow_s3_azure.sync.references import BatchReference

        run = run_folder(ti.dag_id, ti.run_id)
        return [BatchReference.from_json(one, run) for one in ti.xcom_pull(task_ids=self.plan_task_id) or ()]

    def _summaries(self, ti: Any, batches: Sequence[BatchReference]) -> list[Mapping[str, Any]]:
        """Return the summaries of the batches that have one."""
        # XCom still holds those of map indexes that existed only before the run was cleared. Each plan has a folder of its own.
        folders = tuple({f"{one.folder}/" for one in batches})
        found = [one for one in ti.xcom_pull(task_ids=[self.copy_task_id]) or () if one and "ledger" in one]
        return [one for one in found if one["ledger"]["name"].startswith(folders)]

    def _written(self, ti: Any, summaries: Sequence[Mapping[str, Any]]) -> dict[str, Fingerprint]:
        """Return the fingerprints of the ledger's parts, by the part's blob name. A task that was killed has none."""
        from airflow_s3_azure.sync.fingerprint import Fingerprint

        found = [one["ledger"] for one in summaries]
        if self.delete_task_id is not None:
            found += ti.xcom_pull(task_ids=self.delete_task_id, key=LEDGER_KEY) or []
        return {one["name"]: Fingerprint.from_json(one) for one in found}

    def _incomplete(self, ti: Any, container: AzureContainer, report: Report, *, dry_run: bool) -> dict[str, Any]:
        """Return the batches with keys that are not copied, and the first keys that are not in the ledger."""
        from airflow_s3_azure.sync.incomplete import incomplete_batches, missing_keys
        from airflow_s3_azure.sync.ledger import PlanFolder

        if dry_run or report.is_good:
            return {"incomplete_batches": [], "missing_keys": []}
        references = self._batches(ti)
        indexes = incomplete_batches(references, report.done)
        keys = missing_keys(references, indexes, lambda path: PlanFolder(container.client, path))
        return {"incomplete_batches": indexes, "missing_keys": keys}

    def _moved(self, plan: Mapping[str, Any], container: AzureContainer, files: int, size: int) -> Moved:
        from airflow_s3_azure.lineage import Moved, Place

        path = unquote(plan["destination"].removeprefix(container.blobs.blob_url("")))
        return Moved(Place.of_s3(self.s3_bucket, plan["s3_prefix"]), container.place(path), files, size)

    def _why_not_deleted(self, ti: Any, plans: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return why the orphaned blobs were not deleted, unless the deletion was rejected."""
        to_delete = [plan for plan in plans if plan["extra"] and not plan["dry_run"]]
        if self.delete_task_id is None or not to_delete:
            return []
        state = task_states(ti, self.delete_task_id).get(self.delete_task_id)
        if state == "success":
            return []
        orphaned = f"{sum(plan['extra'] for plan in to_delete):,} orphaned blobs (no S3 key)"
        if state == "skipped":
            log.warning("%s: the deletion was not approved, so they stay", orphaned)
            return []
        refusals = [plan["delete_refused"] for plan in to_delete if plan["delete_refused"]]
        return refusals or [f"{orphaned}: task {self.delete_task_id} did not succeed, so they stay; see its log"]


def _throughput(summaries: Sequence[Mapping[str, Any]], report: Report, seconds: float) -> dict[str, float | None]:
    """Return the seconds in which batches copied, and the bytes per second of those."""
    from airflow_s3_azure.sync.incomplete import copying_seconds

    copying = copying_seconds(summaries)
    base = seconds if copying is None else copying
    return {
        "copy_seconds": None if copying is None else round(copying, 3),
        "bytes_per_second": round(report.copied_size / base) if base > 0 else None,
    }


def _log(report: Report, summary: Mapping[str, Any], seconds: float, url: str) -> None:
    """Log the totals, and where the ledger and the summary are."""
    from airflow_s3_azure.sync.cost import cost_text

    log.info("%s -> %s", summary["source"], summary["destination"])
    for line in report.table(seconds).split("\n"):
        log.info("%s", line)
    if summary["dry_run"]:
        log.info("this was a dry run: would copy %s", cost_text(summary["cost"]))
    log.info("ledger: %s", summary["ledger"])
    log.info("summary: %s", url)
    if summary["files_digest"] is not None:
        log.info("SHA-256 of the list of the run's files: %s", summary["files_digest"])


def _add(
    report: Report,
    folder: PlanFolder,
    plan: Mapping[str, Any],
    batches: Iterable[BatchReference],
    written: Mapping[str, Fingerprint],
) -> None:
    """Add the ledger of a plan: the parts of the plan, of its batches and of the deletion, and no other file."""
    from airflow_s3_azure.sync.fingerprint import Fingerprint

    report.add(folder.read_ledger("plan", Fingerprint.from_json(plan["settled"])))

    def expected_of(part: str) -> Fingerprint | None:
        return next((written[name] for name in folder.part_names(part) if name in written), None)

    for batch in batches:
        if expected := expected_of(batch.part):
            report.add(folder.read_ledger(batch.part, expected))
        else:
            report.add_unconfirmed(batch.part, folder.read_unconfirmed_ledger(batch.part, batch.objects))
    if expected := expected_of(DELETE_PART):
        report.add(folder.read_ledger(DELETE_PART, expected))


def _fingerprints(
    plans: Sequence[Mapping[str, Any]],
    container: AzureContainer,
    batches: Sequence[BatchReference],
    written: Mapping[str, Fingerprint],
) -> dict[str, Fingerprint]:
    """Return the fingerprints of the files of all plans that the tasks returned, by the files' blob names."""
    from airflow_s3_azure.sync.fingerprint import Fingerprint
    from airflow_s3_azure.sync.ledger import PlanFolder

    found: dict[str, Fingerprint] = {}
    for plan in plans:
        folder = PlanFolder(container.client, plan["folder"])
        found[folder.manifest_name] = Fingerprint.from_json(plan["manifest"])
        name, earlier_name = folder.part_names("plan")
        settled = Fingerprint.from_json(plan["settled"])
        found[earlier_name if settled.sha256 is None else name] = settled
        if plan["deletions"] is not None:
            found[folder.deletions_name] = Fingerprint.from_json(plan["deletions"])
        parts = [*(one.part for one in batches if one.folder == folder.path), DELETE_PART]
        names = {name for part in parts for name in folder.part_names(part)}
        found |= {name: written[name] for name in names & written.keys()}
    return found


def _expected(plan: Mapping[str, Any]) -> int:
    """Return how many keys the ledger must hold: in a dry run, those that need no copy."""
    return int(plan["objects"]) - (int(plan["counts"]["copy"]) if plan["dry_run"] else 0)


def _urls(plans: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the URLs of source, destination and ledger; of several plans, their common folders."""
    from airflow_s3_azure.sync.batch import shared_start

    found = {}
    for name in ("source", "destination", "ledger"):
        shared = reduce(shared_start, [str(plan[name]) for plan in plans])
        found[name] = shared if len(plans) == 1 else shared[: shared.rfind("/") + 1]
    return found


def _started(plans: Sequence[Mapping[str, Any]]) -> datetime:
    """Return when the first plan began."""
    return min(datetime.fromisoformat(one["started_at"]) for one in plans)


def _cost(plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    costs = [plan["cost"] for plan in plans]
    total = {name: sum(cost[name] for cost in costs) for name in costs[0] if name != "egress_price"}
    prices = [cost["egress_price"] for cost in costs]
    return total | {"egress_price": None if None in prices else round(sum(prices), 2)}


def _interval(context: Context) -> dict[str, str | None]:
    run = context["dag_run"]
    return {
        name: value.isoformat() if (value := getattr(run, name, None)) is not None else None
        for name in ("data_interval_start", "data_interval_end")
    }
