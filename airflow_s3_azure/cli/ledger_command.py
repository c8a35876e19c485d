"""``airflow s3-azure ledger``: the totals of a run, and the keys of one status."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.cli.locations import Destination, read_destination
from airflow_s3_azure.cli.result_table import print_csv, print_json, print_result, print_table
from airflow_s3_azure.cli.session import Session, command
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.progress import size_text
from airflow_s3_azure.operators.arguments import read_argument
from airflow_s3_azure.sync.ledger import ROOT

if TYPE_CHECKING:
    from airflow_s3_azure.connections import AzureContainer
    from airflow_s3_azure.sync.audit.audited_runs import AuditedRun

_COLUMNS = ("key", "blob", "status", "size", "attempts", "error_class", "reason", "error")
_COUNTS = ("copied", "unchanged", "skipped", "failed", "deleted", "missing")


@command
def ledger(args: Namespace, _: Session) -> None:
    """Print the totals of the newest complete run that RUN names, and the keys of one status."""
    from airflow_s3_azure.connections import open_container
    from airflow_s3_azure.connections.wasb import account_url

    wasb_conn_id = args.wasb_conn_id or "wasb_default"
    place = _place(args)
    place.check_connection(wasb_conn_id, account_url(wasb_conn_id))
    container = open_container(wasb_conn_id, read_argument("container_name", place.container), Cancellation())
    run, summary = _newest(container, args.run)
    rows = _rows(container, run, args.status or "failed")
    if args.output == "csv":
        print_csv(_COLUMNS, rows)
    elif args.output == "json":
        print_json({**{name: value for name, value in summary.items() if name != "files"}, "keys": list(rows)})
    else:
        found = [[row[name] for name in _COLUMNS] for row in rows]  # an untrusted ledger is an error before any output
        print_result(_shown(run, summary), "table")
        if found:
            sys.stdout.write("\n")
            print_table(_COLUMNS, found)


def _place(args: Namespace) -> Destination:
    """Return the container: that of the URL, or the named one."""
    if "://" in args.run:
        return read_destination(args.run)
    if not args.container_name:
        raise ConfigurationError("--container-name is missing; name the container that the run copied to")
    return Destination("", args.container_name, "")


def _newest(container: AzureContainer, text: str) -> tuple[AuditedRun, dict[str, Any]]:
    """Return the newest complete run that a text names, with its summary.

    :raises ConfigurationError: if there is none, or it has several syncs
    :raises UntrustedFile: if its list of files is not the one that was written
    """
    from airflow_s3_azure.sync.audit.audited_runs import confirmed_run, find_runs, ledger_prefix

    prefix = ledger_prefix(text)
    if prefix == f"{ROOT}/":
        raise ConfigurationError("RUN is empty; it takes the ID of a DAG, dag_id/run_id, or the URL of a ledger")
    try:
        runs = find_runs(container.client, container.blobs, prefix, "newest")
    except ConfigurationError:
        raise ConfigurationError(
            f"there is no complete run of a sync under {prefix!r} in container {container.client.container_name!r}: no "
            "summary.json of a run that was not dry; check RUN and the container"
        ) from None
    run, summary = runs[-1]
    syncs = sorted(one.group_id for one, _ in runs if (one.dag_id, one.run_id) == (run.dag_id, run.run_id))
    if len(syncs) > 1:
        names = ", ".join(f"{run.dag_id}/{run.run_id}/{group_id}" for group_id in syncs)
        raise ConfigurationError(f"this run has {len(syncs)} syncs, each with a ledger of its own; name one of {names}")
    return confirmed_run(run, summary, None), summary


def _rows(container: AzureContainer, run: AuditedRun, status: str) -> Iterator[dict[str, Any]]:
    """Yield the columns of the rows of one status."""
    from airflow_s3_azure.sync.audit.audited_runs import ledger_rows

    for row in ledger_rows(container.client, container.blobs, run):
        if row["status"] == status:
            yield {name: row.get(name) for name in _COLUMNS}


def _shown(run: AuditedRun, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth a line of a table."""
    return {
        "run": f"{run.run.dag_id} / {run.run.run_id}",
        "source": summary.get("source"),
        "destination": summary.get("destination"),
        **{name: f"{summary.get(name, 0):,}" for name in _COUNTS},
        "bytes copied": size_text(summary.get("copied_bytes", 0)),
        "seconds": summary.get("seconds"),
        "ledger": summary.get("ledger"),
    }
