"""``airflow s3-azure copy``: copy one object."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from airflow_s3_azure.cli.command_task import CommandTask
from airflow_s3_azure.cli.locations import read_destination, read_source
from airflow_s3_azure.cli.result_table import print_result
from airflow_s3_azure.cli.session import Session, check_account, command, given
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.progress import duration_text, size_text
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.operators.option_groups import option_names


@command
def copy(args: Namespace, session: Session) -> None:
    """Copy the object, and print its result."""
    bucket, key = read_source(args.source)
    if not key or key.endswith("/"):
        raise ConfigurationError(
            f"the source is {args.source!r}, a prefix; copy takes one object, s3://bucket/key. A sync copies what is under "
            "a prefix"
        )
    destination = read_destination(args.destination)
    names = {*option_names(Endpoints, CopyOptions), "s3_version_id"} - {"s3_bucket", "container_name"}
    name = {"blob_prefix": destination.path} if destination.is_prefix else {"blob_name": destination.path}
    operator = S3ToAzureBlobStreamOperator(
        task_id="copy",
        s3_bucket=bucket,
        s3_key=key,
        container_name=destination.container,
        **name,
        **given(args, *names),
    )
    check_account(destination, operator)
    session.after_failure = "The same command resumes: what is staged in Azure is not copied again."
    row = session.execute(operator, CommandTask("copy"))
    print_result(row if args.output != "table" else _shown(row), args.output)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is worth a line of a table."""
    rate = f", {row['mib_per_second']} MiB/s" if row["mib_per_second"] else ""
    blocks = f"{row['blocks']}" + (f", {row['resumed_blocks']} resumed" if row["resumed_blocks"] else "")
    shown = {
        "status": row["status"],
        "reason": row["reason"],
        "source": row["source"],
        "destination": row["destination"],
        "size": size_text(row["size"] or 0),
        "verified by": row["verified"],
        "blocks": blocks if row["blocks"] else None,
        "time": f"{duration_text(row['seconds'])}{rate}",
    }
    return {name: value for name, value in shown.items() if value is not None}
