"""A preflight, run by Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.operators import S3ToAzurePreflightOperator
from tests.airflow_runs import Run, run_dag
from tests.faults.proxy import Refuse
from tests.preflight.conftest import PREFIX, Preflight, preflight, scheme  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

Checked = tuple[Run, list[BaseException]]


@pytest.fixture
def check(preflight: Preflight) -> Callable[..., Checked]:  # noqa: F811
    """Run the operator; return the run and the errors of the task."""

    def check(**arguments: Any) -> Checked:
        errors: list[BaseException] = []
        with DAG(f"preflight_{preflight.container.container_name}") as dag:
            S3ToAzurePreflightOperator(
                task_id="preflight",
                s3_bucket=preflight.bucket.name,
                container_name=str(preflight.container.container_name),
                s3_prefix=PREFIX,
                on_failure_callback=lambda context: errors.append(context["exception"]),
                **arguments,
            )
        return run_dag(dag), errors

    return check


def test_the_results_are_in_xcom(check: Callable[..., Checked], preflight: Preflight) -> None:  # noqa: F811
    """Of a preflight without a red check, which succeeds."""
    run, _ = check(skip=["azure-rejected-block"])

    found = run.xcom("preflight")
    assert (run.state, found["status"], found["left"]) == ("success", "amber", [])
    assert found["source"] == f"s3://{preflight.bucket.name}/{PREFIX}"
    assert found["destination"] == f"{preflight.azure.url}/devstoreaccount1/{preflight.container.container_name}"
    statuses = {one["name"]: one["status"] for one in found["checks"]}
    assert (statuses["azure-commits"], statuses["azure-rejected-block"]) == ("green", "skipped")
    assert preflight.blobs() == []


def test_a_red_check_fails_the_task_after_its_results_are_in_xcom(
    check: Callable[..., Checked],
    preflight: Preflight,  # noqa: F811
) -> None:
    """Without a retry; the error names the missing action and the line of the policy."""
    preflight.s3.strike(Refuse(403, "AccessDenied"), lambda request: "range" in request.headers, times=None)

    run, (error,) = check()

    assert (run.state, run.tries()["preflight", -1]) == ("failed", 1)
    assert isinstance(error, AirflowFailException)
    assert "PreflightFailed: 1 of 28 checks are red" in str(error)
    assert '"Action": "s3:GetObject"' in str(error)
    assert run.xcom("preflight")["status"] == "red"
    assert preflight.blobs() == []


def test_no_secret_is_in_the_results(check: Callable[..., Checked], preflight: Preflight) -> None:  # noqa: F811
    """Neither a key nor a signature."""
    run, _ = check(write_source=True)

    text = json.dumps(run.xcom("preflight"))
    assert "X-Amz-Signature" not in text
    assert preflight.bucket.server.secret_key not in text


def test_an_unknown_check_to_skip_fails_the_task(check: Callable[..., Checked]) -> None:
    """Before any request."""
    run, (error,) = check(skip=["azure-tag"])

    assert run.state == "failed"
    assert ConfigurationError.__name__ in str(error)
    assert "'azure-tag', which is no check of the preflight" in str(error)
