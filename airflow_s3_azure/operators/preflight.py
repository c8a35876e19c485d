"""The operator that checks on the real accounts what a copy assumes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures, folded
from airflow_s3_azure.operators.option_groups import accepts, read_options, templated
from airflow_s3_azure.operators.run_conf import check_run_conf
from airflow_s3_azure.preflight.preflight_options import PreflightOptions

if TYPE_CHECKING:
    from airflow.sdk import Context

log = get_logger(__name__)


class S3ToAzurePreflightOperator(ConnectedOperator):
    """Check, with this worker's identity and network, what copies assume of a bucket and a container.

    About 70 requests and 9 MiB in some 40 seconds. The blobs that it writes are below a random name, and are removed, also if
    the task fails or is killed. Each check is green, amber (a feature is not available), red (a copy would fail) or skipped.
    The task fails if a check is red.

    Returns the results to XCom: ``status``, ``counts`` by status, ``checks`` (each with ``name``, ``service``, ``status``,
    ``proves``, ``detail``, ``consequence``, ``remedy``, ``action``, ``policy``, ``request_id``, ``seconds``), ``guardrails``
    that are in force, ``left`` (blobs that may not be removed), ``source``, ``destination``, ``requests``, ``bytes_sent``,
    ``started_at``, ``seconds``.

    :param s3_bucket: bucket to copy from (templated)
    :param container_name: container to copy to (templated)
    :param s3_prefix: of the keys to copy: it is listed, and one object below it is read (templated)
    :param s3_key: the object to read; empty: the first one that the listing shows (templated)
    :param blob_prefix: under which blobs are written (templated)
    :param write_source: also write one small object with a difficult key below ``s3_prefix``, and delete it (templated)
    :param skip: names of checks that are not run, such as ``idle-connections``, which takes 36 seconds (templated)
    :param aws_conn_id: Airflow connection to S3; None: boto3's default credentials (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage (templated)
    :param create_container: create the container if it is missing (templated)
    :param requester_pays: agree to pay for a requester-pays bucket
    """

    template_fields: Sequence[str] = templated(Endpoints, PreflightOptions)
    ui_color = "#eaf4f4"

    @accepts(PreflightOptions)
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, Any]:
        """Run the checks. The results are in XCom before the task fails."""
        from airflow_s3_azure.connections.preflight_run import run_checks
        from airflow_s3_azure.engine.cancellation import Cancellation
        from airflow_s3_azure.preflight.table import as_text

        with airflow_failures():
            check_run_conf(context)
            endpoints, options = read_options(Endpoints, self), read_options(PreflightOptions, self)
            self._cancellation = cancellation = Cancellation()
            with folded("Checks"):
                report = run_checks(endpoints, options, cancellation)
        self.container_url = report.destination if "://" in report.destination else ""
        for line in as_text(report).splitlines():
            log.info("%s", line)
        found = report.as_json()
        if report.status == "red":
            context["ti"].xcom_push(key="return_value", value=found)  # a task that fails returns nothing
            with airflow_failures():
                report.raise_failures()
        return found
