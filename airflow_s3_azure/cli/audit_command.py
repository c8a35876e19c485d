"""``airflow s3-azure audit``: compare a container with what is recorded of it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.cli.command_task import CommandTask
from airflow_s3_azure.cli.locations import read_destination
from airflow_s3_azure.cli.result_table import print_result
from airflow_s3_azure.cli.session import Session, check_account, command, given
from airflow_s3_azure.engine.progress import size_text
from airflow_s3_azure.operators import S3ToAzureAuditOperator
from airflow_s3_azure.operators.audit_arguments import AuditArguments
from airflow_s3_azure.operators.option_groups import option_names

POSITIONAL = {"container_name", "blob_prefix"}
"""Arguments that DESTINATION stands for."""


@command
def audit(args: Namespace, session: Session) -> None:
    """Audit the container, and print the totals, also if blobs are changed or missing."""
    destination = read_destination(args.destination)
    operator = S3ToAzureAuditOperator(
        task_id="audit",
        container_name=destination.container,
        blob_prefix=destination.path,
        **given(args, *{*option_names(AuditArguments)} - POSITIONAL),
    )
    check_account(destination, operator)
    task = CommandTask("audit")
    try:
        totals = session.execute(operator, task, "auditing")
    except AirflowFailException:
        if found := task.pushed.get("return_value"):
            print_result(_shown(found) if args.output == "table" else found, args.output)
        raise
    print_result(_shown(totals) if args.output == "table" else totals, args.output)


def _shown(totals: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is worth a line of a table."""
    counts = ("objects", "intact", "changed", "missing", "unknown", "unrecorded")
    return {
        "destination": totals["destination"],
        "runs": f"{totals['run_count']:,}" if totals["compare_with"] == "ledger" else "records on the blobs",
        **{name: f"{totals[name]:,}" for name in counts},
        "read back": f"{totals['read']:,} ({size_text(totals['bytes_read'])})",
        "ledger": totals["ledger"],
    }
