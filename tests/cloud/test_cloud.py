"""``make test-cloud``, pointed at the emulators."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cloud.accounts import NEEDED
from tests.conftest import ROOT

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

PAGE = "# Page\n\n| date | S3 |\n|---|---|\n<!-- [end:accounts] -->\n\nThe rest.\n"


def _run(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUD_", "AIRFLOW"))}
    return subprocess.run(
        [sys.executable, "-m", "tests.cloud"],
        env=environment | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_without_accounts_it_prints_what_to_set() -> None:
    """Every variable, and nothing is run."""
    done = _run(CLOUD_BUCKET="acme")

    assert (done.returncode, done.stderr) == (2, "")
    assert [name for name in NEEDED if name not in done.stdout] == []


@pytest.mark.servers
@pytest.mark.airflow
@pytest.mark.slow
def test_it_adds_a_row_to_the_page(
    s3_server: S3Server, azure_server: AzureServer, bucket: Bucket, container: ContainerClient, tmp_path: Path
) -> None:
    """With the counts of the preflight and of the contract tests; nothing stays in the accounts."""
    bucket.put("key", b"content")
    page = tmp_path / "page.md"
    page.write_text(PAGE)

    done = _run(
        CLOUD_AWS=json.dumps(s3_server.airflow_connection()),
        CLOUD_BUCKET=bucket.name,
        CLOUD_WASB=json.dumps(azure_server.airflow_connection()),
        CLOUD_CONTAINER=str(container.container_name),
        CLOUD_BLOB_PREFIX="below/",
        CLOUD_TABLE=str(page),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = [line for line in page.read_text().splitlines() if line.startswith("| ") and "date" not in line]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:3] == [
        "bucket of an S3-compatible store at 127.0.0.1, region eu-west-1",
        "StorageV2, Standard_RAGRS, flat namespace",
    ]
    # What is not green between the emulators: tests/preflight/test_runner.py says why.
    assert cells[3] == (
        "23 green; s3-tls amber, azure-tls amber, azure-put amber, azure-metadata amber, server-side amber"
    )
    assert cells[4] == "15 passed"
    assert page.read_text().endswith("<!-- [end:accounts] -->\n\nThe rest.\n")
    assert s3_server.secret_key not in done.stdout + done.stderr + page.read_text()
    assert list(container.list_blobs(include=["uncommittedblobs"])) == []
    assert [one["Key"] for one in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]] == ["key"]
