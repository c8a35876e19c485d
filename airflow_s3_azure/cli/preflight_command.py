"""``airflow s3-azure preflight``: check on the real accounts what a copy assumes of them."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict

from rich.console import Console

from airflow_s3_azure.cli.locations import read_destination, read_source
from airflow_s3_azure.cli.result_table import print_csv, print_json
from airflow_s3_azure.cli.session import Session, command, given
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.operators import S3ToAzurePreflightOperator
from airflow_s3_azure.operators.option_groups import option_names, read_options
from airflow_s3_azure.preflight.preflight_options import PreflightOptions


@command
def preflight(args: Namespace, session: Session) -> None:
    """Run the checks, print them, and fail if one is red."""
    from airflow_s3_azure.connections.preflight_run import run_checks
    from airflow_s3_azure.connections.wasb import account_url
    from airflow_s3_azure.preflight.table import WIDTH, render

    bucket, prefix = read_source(args.source)
    destination = read_destination(args.destination)
    own = {"s3_bucket", "container_name", "s3_prefix", "blob_prefix"}
    operator = S3ToAzurePreflightOperator(
        task_id="preflight",
        s3_bucket=bucket,
        s3_prefix=prefix,
        container_name=destination.container,
        blob_prefix=destination.path,
        **given(args, *{*option_names(Endpoints, PreflightOptions)} - own),
    )
    endpoints, options = read_options(Endpoints, operator), read_options(PreflightOptions, operator)
    if destination.account_url:
        destination.check_connection(endpoints.wasb_conn_id, account_url(endpoints.wasb_conn_id))
    cancellation = Cancellation()

    def cancel(reason: str) -> bool:
        cancellation.set(reason)
        return True

    session.cancel = cancel
    with session.messages.status("running the checks, which takes about a minute"):
        report = run_checks(endpoints, options, cancellation)
    if args.output == "json":
        print_json(report.as_json())
    elif args.output == "csv":
        rows = [asdict(one) for one in report.results]
        print_csv(list(rows[0]), rows)
    else:
        width = None if sys.stdout.isatty() else WIDTH
        Console(markup=False, highlight=False, emoji=False, width=width).print(render(report))
    report.raise_failures()
