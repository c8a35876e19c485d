"""Runs a preflight through Airflow's connections, within its guardrails: for the operator and for the command line."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from airflow_s3_azure.connections.aws import S3Bucket, open_bucket
from airflow_s3_azure.connections.pair import SERVER_SIDE_URL_SECONDS
from airflow_s3_azure.connections.wasb import AzureContainer, open_container
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.observer import Observer
from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.preflight.preflight_options import PreflightOptions
from airflow_s3_azure.preflight.preflight_report import PreflightReport
from airflow_s3_azure.preflight.runner import run
from airflow_s3_azure.preflight.subject import Subject, Workspace
from airflow_s3_azure.preflight.write_checks import CONCURRENT


def run_checks(endpoints: Endpoints, options: PreflightOptions, cancellation: Cancellation) -> PreflightReport:
    """Run all checks between two endpoints, and remove what they wrote.

    :param cancellation: ends the preflight after the check in flight; what it wrote is removed all the same
    :raises ConfigurationError: if ``skip`` or a guardrail is not valid
    :raises Cancelled: if it was cancelled
    """
    guardrails, workspace = Guardrails.configured(), Workspace(options.blob_prefix)
    # Not the one of the run: a cancelled run still removes its blobs.
    of_requests = Cancellation()

    def bucket(observer: Observer) -> S3Bucket:
        guardrails.check_source(endpoints.s3_bucket, options.s3_prefix, is_prefix=True)
        return open_bucket(
            endpoints.aws_conn_id,
            endpoints.s3_bucket,
            of_requests,
            max_concurrency=CONCURRENT,
            requester_pays=endpoints.requester_pays,
            url_seconds=SERVER_SIDE_URL_SECONDS,
            on_exchange=observer,
        )

    def container(observer: Observer) -> AzureContainer:
        opened = open_container(
            endpoints.wasb_conn_id,
            endpoints.container_name,
            of_requests,
            create_container=endpoints.create_container,
            on_exchange=observer,
        )
        guardrails.check_destination(endpoints.wasb_conn_id, opened.blobs.url, workspace.prefix, is_prefix=True)
        return opened

    forbidden = {} if guardrails.allow_server_side_copy else {"server-side": "the guardrails allow no server-side copy"}
    subject = Subject(bucket, container, options, workspace, cancellation, forbidden)
    return run(
        subject,
        source=f"s3://{endpoints.s3_bucket}/{options.s3_prefix}",
        destination=f"{endpoints.wasb_conn_id}/{endpoints.container_name}",
        guardrails=in_force(guardrails),
    )


def in_force(guardrails: Guardrails) -> dict[str, Any]:
    """Return the guardrails that are not at their default, which allows everything, as JSON values."""
    found = {
        one.name: getattr(guardrails, one.name)
        for one in fields(guardrails)
        if getattr(guardrails, one.name) != one.default
    }
    return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
