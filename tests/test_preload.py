"""What is imported in advance, for tasks that are forked."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from botocore.loaders import JSONFileLoader
from botocore.session import get_session

from airflow_s3_azure.connections.s3_data import read_in_advance, share_descriptions

_PROBE = """
import sys
from airflow_s3_azure.preload import preload
preload()
before = set(sys.modules)
import airflow.providers.amazon.aws.hooks.s3, airflow.providers.microsoft.azure.hooks.wasb
from airflow_s3_azure.connections import check_object, open_container, open_endpoints, request_check
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator, S3ToAzureCopyBatchOperator, S3ToAzurePlanOperator
from airflow_s3_azure.operators import S3ToAzureReportOperator
from airflow_s3_azure.preflight.plan_checks import PlanChecks
from airflow_s3_azure.sync.execution import BatchExecution
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync_group import s3_to_azure_sync
print(*(set(sys.modules) - before))
"""


@pytest.mark.airflow
def test_after_preload_a_task_imports_nothing_of_this_package() -> None:
    """A process that calls it has both hooks, the engine, the planner and the operators of a sync."""
    done = subprocess.run([sys.executable, "-c", _PROBE], check=True, capture_output=True, text=True)

    assert done.stdout.split("\n")[-2] == ""


def test_a_second_session_reads_no_description_of_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service, its endpoints and their rules are read once per process."""
    read_in_advance()
    read: list[str] = []
    load = JSONFileLoader.load_file

    def load_file(self: JSONFileLoader, path: str) -> Any:
        read.append(path)
        return load(self, path)

    monkeypatch.setattr(JSONFileLoader, "load_file", load_file)
    session = get_session()
    share_descriptions(session)
    session.create_client("s3", region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b")

    assert read == []


def test_an_invalid_profile_does_not_stop_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs at the start of Airflow never fails for a connection that may not be used."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")

    read_in_advance()
