"""Promise 9: no presigned URL, SAS, key or token in any log, XCom, rendered field, exception or ledger, at DEBUG."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from tests.ledgers import file_content
from tests.servers.process import free_port

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

DAG = """
from airflow.sdk import DAG
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG("secrets"):
    tasks = [
        S3ToAzureBlobStreamOperator(
            task_id=name, s3_bucket={bucket!r}, container_name={container!r}, block_size=65536,
            trigger_rule="all_done", blob_name=name, **arguments,
        )
        for name, arguments in dict(
            good=dict(s3_key="large"),
            good_with_sas=dict(s3_key="large", wasb_conn_id="wasb_sas"),
            missing_key=dict(s3_key="missing"),
            wrong_secret=dict(s3_key="large", aws_conn_id="aws_wrong"),
            closed_s3=dict(s3_key="large", aws_conn_id="aws_closed"),
            closed_azure=dict(s3_key="large", wasb_conn_id="wasb_closed"),
        ).items()
    ]
    for before, after in zip(tasks, tasks[1:]):
        before >> after
    group = s3_to_azure_sync(s3_bucket={bucket!r}, container_name={container!r}, wasb_conn_id="wasb_sas", retries=0)
"""
# Anything signed, by its form: also secrets that this test does not know.
FORMS = re.compile(r"(?i)x-amz-signature=[0-9a-f]|x-amz-credential=[^*]|[?&\s]sig=[^*]|sharedkey \w+:[^*\s]")


def test_no_secret_leaves(
    bucket: Bucket, container: ContainerClient, s3_server: S3Server, azure_server: AzureServer, tmp_path: Path
) -> None:
    """Tasks that succeed and tasks that fail for each reason, all logged at DEBUG: all their output is searched."""
    bucket.put("large", os.urandom(200_000))
    sas = generate_account_sas(
        azure_server.account,
        azure_server.key,
        resource_types=ResourceTypes(container=True, object=True),
        permission=AccountSasPermissions(read=True, write=True, list=True, create=True, add=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    s3, azure = s3_server.airflow_connection(), azure_server.airflow_connection()
    token = secrets.token_hex(20)
    s3["extra"]["aws_session_token"] = token
    with_sas = {**azure, "password": None, "extra": {"sas_token": f"?{sas}"}}
    closed = f"http://127.0.0.1:{free_port()}"
    connections = {
        "aws_default": s3,
        "aws_wrong": {**s3, "password": "wrong-" + s3_server.secret_key},
        "aws_closed": {**s3, "extra": {**s3["extra"], "endpoint_url": closed}},
        "wasb_default": azure,
        "wasb_sas": with_sas,
        "wasb_closed": {**with_sas, "host": f"{closed}/account"},
    }
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "secrets.py").write_text(DAG.format(bucket=bucket.name, container=container.container_name))
    bundle = {
        "name": "dags",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(tmp_path / "dags")},
    }
    home = tmp_path / "home"
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections.items()},
    }

    printed = ""
    for command in (["db", "migrate"], ["dags", "reserialize"], ["dags", "test", "secrets", "2026-01-01"]):
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *command],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        printed += done.stdout + done.stderr

    # `airflow dags test` itself prints, at DEBUG, what it masks (supervisor.py of Airflow 3.3.2).
    ours = "\n".join(line for line in printed.splitlines() if "msg=MaskSecret(" not in line)
    left = {"what was printed": ours}
    left |= {
        str(path.relative_to(home)): path.read_text(errors="replace") for path in home.rglob("*") if path.is_file()
    }
    left |= {name: file_content(container, name).decode("latin-1") for name in _own_blobs(container)}
    # The search proves nothing unless everything really ran, at DEBUG, and logged what happened.
    for expected in (
        "verified by crc32",
        "SourceNotFound",
        "SourceAccessDenied",
        "S3 could not be reached at host 127.0.0.1: ConnectionRefusedError",
        "Azure could not be reached",
        "summary: http",
    ):
        assert expected in printed
    assert re.search(r"debug +\].*urllib3\.connectionpool|urllib3\.connectionpool.*DEBUG", printed, re.IGNORECASE)
    assert any(name.endswith("airflow.db") for name in left)
    assert any("/ledger/" in name for name in left)
    signature = re.search(r"sig=([^&]+)", sas)
    assert signature
    known = [s3_server.secret_key, token, azure_server.key, signature[1], sas]
    found = [(name, secret[:6]) for name, text in left.items() for secret in known if secret in text]
    assert found == []
    assert [(name, match[0]) for name, text in left.items() if (match := FORMS.search(text))] == []


def _own_blobs(container: ContainerClient) -> list[str]:
    return [name for name in container.list_blob_names() if name.startswith("_s3_to_azure/")]
