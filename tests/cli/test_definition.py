"""The commands as the real ``airflow`` finds, lists and runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.cli.definition import get_commands
from tests.test_package import _modules_after

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.airflow]


def airflow(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Airflow's command in a process of its own."""
    command = [sys.executable, "-m", "airflow", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"})


def test_other_commands_import_the_definition_alone() -> None:
    """So `airflow` is as fast as without this package."""
    before = _modules_after("import airflow.cli.cli_config")
    added = _modules_after("import airflow.cli.cli_config, airflow_s3_azure.cli.definition") - before

    assert added - {"airflow_s3_azure"} == {"airflow_s3_azure.cli", "airflow_s3_azure.cli.definition"}


def test_help_lists_the_commands() -> None:
    """With one line each."""
    done = airflow("s3-azure", "--help")

    assert done.returncode == 0, done.stderr
    for command in get_commands()[0].subcommands:
        assert command.name in done.stdout
        assert command.help in done.stdout


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
def test_the_real_command_copies(bucket: Bucket, container: ContainerClient) -> None:
    """Standard output is the result alone, so that it can be piped into `jq`."""
    bucket.put("key", b"content")

    done = airflow("s3-azure", "copy", f"s3://{bucket.name}/key", container.container_name, "--output", "json")
    wrong = airflow("s3-azure", "copy", f"s3://{bucket.name}/missing", container.container_name)

    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "copied"), done.stderr
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "SourceNotFound: " in wrong.stderr
    assert "operations/runbook.html#sourcenotfound" in wrong.stderr


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
def test_a_connection_of_airflows_database_is_found(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by Airflow's own commands, though a task's process would need its supervisor."""
    from tests.airflow_runs import _migrate

    _migrate()
    connection = os.environ["AIRFLOW_CONN_WASB_DEFAULT"]
    monkeypatch.delenv("AIRFLOW_CONN_WASB_DEFAULT")
    bucket.put("key", b"content")
    added = airflow("connections", "add", "wasb_in_database", "--conn-json", connection)

    there = f"new-{bucket.name}"
    options = ("--wasb-conn-id", "wasb_in_database", "--create-container", "-o", "json")
    done = airflow("s3-azure", "copy", f"s3://{bucket.name}/key", there, *options)

    assert added.returncode == 0, added.stderr
    assert (done.returncode, json.loads(done.stdout or "{}").get("status")) == (0, "copied"), done.stderr
