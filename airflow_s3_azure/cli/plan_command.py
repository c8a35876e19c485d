"""``airflow s3-azure plan``: a dry run of a sync."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from airflow_s3_azure.cli.command_task import CommandTask
from airflow_s3_azure.cli.locations import read_destination, read_source
from airflow_s3_azure.cli.result_table import print_result
from airflow_s3_azure.cli.session import Session, check_account, command, given
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.progress import size_text
from airflow_s3_azure.operators import S3ToAzurePlanOperator
from airflow_s3_azure.operators.option_groups import option_names
from airflow_s3_azure.operators.plan import PLAN_KEY
from airflow_s3_azure.operators.plan_arguments import PlanArguments
from airflow_s3_azure.sync.plan_conflicts import conflict_texts

POSITIONAL = {"s3_bucket", "s3_prefix", "container_name", "blob_prefix"}
"""Arguments that SOURCE and DESTINATION stand for."""
NOT_OFFERED = {"is_dry_run", "lookback", "preflight", "restore_price_per_gib"}
"""A plan on the command line is a dry run with its checks; its times are absolute, and it restores nothing."""
_INTERNAL = {"folder", "manifest", "settled", "deletions", "dry_run"}


@command
def plan(args: Namespace, session: Session) -> None:
    """Make the plan, and print its totals."""
    bucket, prefix = read_source(args.source)
    destination = read_destination(args.destination)
    names = (
        {*option_names(Endpoints, PlanArguments), "overwrite", "overwrite_archived", "block_size", "archived"}
        - POSITIONAL
        - NOT_OFFERED
    )
    operator = S3ToAzurePlanOperator(
        task_id="plan",
        s3_bucket=bucket,
        s3_prefix=prefix,
        container_name=destination.container,
        blob_prefix=destination.path,
        is_dry_run=True,
        **given(args, *names),
    )
    check_account(destination, operator)
    task = CommandTask("plan")
    session.execute(operator, task, "listing")
    totals = {name: value for name, value in task.pushed[PLAN_KEY].items() if name not in _INTERNAL}
    print_result(_shown(totals) if args.output == "table" else totals, args.output)


def _shown(totals: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth a line of a table."""
    counts, cost = totals["counts"], totals["cost"]
    price = "" if cost["egress_price"] is None else f", price {cost['egress_price']:,.2f}"
    shown = {
        "source": totals["source"],
        "destination": totals["destination"],
        "to copy": f"{counts['copy']:,} ({size_text(totals['size'])}) in {totals['batches']:,} batches",
        "unchanged": f"{counts['unchanged']:,}",
        "skipped": f"{counts['skipped']:,}",
        "conflicts": "\n".join(conflict_texts(totals["conflicts"])) or None,
        "archived blobs to replace": f"{totals['replaced_archived']:,}" if totals["replaced_archived"] else None,
        "orphaned": f"{totals['extra']:,}" if totals["extra"] else None,
        "not deleted": totals["delete_refused"],
        "requests": f"{cost['s3_requests']:,} to S3, {cost['azure_requests']:,} to Azure",
        "egress": f"{cost['egress_gib']:,.3f} GiB{price}",
        "ledger": totals["ledger"],
    }
    return {name: value for name, value in shown.items() if value is not None}
