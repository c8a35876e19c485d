"""A YAML file of syncs becomes one DAG for each entry; errors name file, line and field."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from airflow.sdk import CronDataIntervalTimetable
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync_file import DAG_FIELDS, SCHEMA, sync_dags
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import run_dag

if TYPE_CHECKING:
    from airflow.sdk import DAG
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.airflow]

GUIDE = Path(__file__).parents[1] / "docs" / "how-to" / "many-syncs.md"
ENTRY = "  - {dag_id: good, s3_bucket: exports, container_name: landing}\n"
NOT_OFFERED = {
    *("group_id", "assigned_users", "outlets", "on_success_callback", "on_failure_callback"),  # Python objects
    *("lookback", "approve_timeout", "slice", "retry_delay"),  # durations
}
"""Arguments of the task group that no YAML value can be."""


def dags_of(tmp_path: Path, text: str) -> dict[str, DAG]:
    """Return the DAGs of a file with this text."""
    path = tmp_path / "syncs.yaml"
    path.write_text(text)
    return sync_dags(path)


def errors_of(dag: DAG) -> str:
    """Return with what the only task of an invalid entry's DAG fails."""
    (task,) = dag.tasks
    fail: Any = vars(task)["python_callable"]
    with pytest.raises(AirflowFailException) as failed:
        fail()
    return str(failed.value)


def test_each_entry_is_a_dag_with_its_own_values(tmp_path: Path) -> None:
    """Before those of ``defaults``, and before those of a nightly sync."""
    dags = dags_of(
        tmp_path,
        """
defaults: {container_name: landing, blob_prefix: from-s3/, schedule: "0 3 * * *"}
syncs:
  - {dag_id: first, s3_bucket: exports}
  - {dag_id: second, s3_bucket: exports, blob_prefix: other/, schedule: null, tags: [finance], block_size: 16 MiB, start_date: 2026-11-01}
""",
    )

    first, second = dags["first"], dags["second"]
    assert list(dags) == ["first", "second"]
    assert isinstance(first.timetable, CronDataIntervalTimetable)
    plans = [dag.get_task("s3_to_azure.plan") for dag in (first, second)]
    assert [vars(plan)["blob_prefix"] for plan in plans] == ["from-s3/", "other/"]
    assert vars(plans[1])["block_size"] == "16 MiB"
    assert second.start_date == datetime(2026, 11, 1, tzinfo=UTC)
    assert type(second.timetable).__name__ == "NullTimetable"
    assert second.tags == {"s3", "azure", "finance"}


@pytest.mark.parametrize(
    ("entry", "line", "field", "message"),
    [
        ("{dag_id: bad, s3_bucket: exports, container_name: landing, s3_perfix: x}", 3, ".s3_perfix", "no such field"),
        ("{dag_id: bad, s3_bucket: 5, container_name: landing}", 3, ".s3_bucket", "5 is not of type 'string'"),
        ("{dag_id: bad, s3_bucket: exports}", 3, "", "neither it nor defaults has the field 'container_name'"),
        (
            "\n    dag_id: bad\n    s3_bucket: exports\n    container_name: Not_A_Name",
            6,
            ".container_name",
            "Not_A_Name",
        ),
        (
            "\n    dag_id: bad\n    s3_bucket: exports\n    container_name: c-1\n    block_size: 1",
            7,
            ".block_size",
            "64 KiB",
        ),
        (
            "{dag_id: bad, s3_bucket: exports, container_name: landing, compare: date}",
            3,
            ".compare",
            "'date' is not one",
        ),
        (
            "{dag_id: bad, s3_bucket: exports, container_name: landing, schedule: nightly}",
            3,
            ".schedule",
            "'nightly' is no cron",
        ),
        (
            "{dag_id: bad, s3_bucket: exports, container_name: landing, start_date: soon}",
            3,
            ".start_date",
            "not a 'date'",
        ),
        (
            "{dag_id: bad, s3_bucket: exports, container_name: landing, max_active_runs: 1.0e+308}",
            3,
            ".max_active_runs",
            "1e+308 is greater than the maximum",
        ),
        (
            "{dag_id: bad, s3_bucket: exports, container_name: landing, max_bytes: '1e999999999'}",
            3,
            ".max_bytes",
            "it takes a size in bytes",
        ),
    ],
)
def test_an_invalid_entry_fails_alone(tmp_path: Path, entry: str, line: int, field: str, message: str) -> None:
    """Its DAG has the errors, with file, line and field, in its only task and its documentation; the others are complete."""
    dags = dags_of(tmp_path, f"syncs:\n{ENTRY}  - {entry}\n{ENTRY.replace('good', 'last')}")

    assert list(dags) == ["good", "bad", "last"]
    error = errors_of(dags["bad"])
    assert error.startswith(f"syncs.yaml, line {line}, syncs[1]{field}: ")
    assert message in error
    assert error in (dags["bad"].doc_md or "")
    assert "invalid" in dags["bad"].tags
    assert [len(dags[name].tasks) for name in ("good", "last")] == [3, 3]


@pytest.mark.parametrize("error", [TypeError("no text"), OverflowError("too much"), ValueError("no")])
def test_an_error_of_any_check_is_the_entrys_own(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow and Python refuse some values with errors of their own."""

    def sync(*, container_name: str, **arguments: Any) -> Any:
        if container_name == "bad":
            raise error
        return s3_to_azure_sync(container_name=container_name, **arguments)

    monkeypatch.setattr("airflow_s3_azure.sync_file.s3_to_azure_sync", sync)

    dags = dags_of(tmp_path, f"syncs:\n{ENTRY}  - {{dag_id: bad, s3_bucket: exports, container_name: bad}}\n")

    assert errors_of(dags["bad"]) == f"syncs.yaml, line 3, syncs[1]: {error}"
    assert len(dags["good"].tasks) == 3


def test_a_file_of_any_name_has_a_dag_for_an_entry_without_an_id(tmp_path: Path) -> None:
    """Else the file has no DAG at all, because Airflow refuses the ID of one."""
    path = tmp_path / f"acme syncs ü{'x' * 237}.yaml"
    path.write_text(f"syncs:\n{ENTRY}  - s3_bucket: exports\n")

    assert [dag_id[:18] for dag_id in sync_dags(path)] == ["good", "acme_syncs__xxxxxx"]


def test_a_whole_number_may_be_written_as_a_float(tmp_path: Path) -> None:
    """As the schema allows."""
    entry = ENTRY.replace("landing", "landing, max_active_runs: 2.0")

    assert dags_of(tmp_path, f"syncs:\n{entry}")["good"].max_active_runs == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (ENTRY, "line 3, syncs[1].dag_id: another entry has the dag_id 'good'"),
        (
            "  - {dag_id: a/b, s3_bucket: exports, container_name: landing}\n",
            "line 3, syncs[1].dag_id: 'a/b' does not match",
        ),
        ("  - {s3_bucket: exports, container_name: landing}\n", "line 3, syncs[1]: 'dag_id' is a required property"),
        ("  - exports\n", "line 3, syncs[1]: 'exports' is not of type 'object'"),
    ],
)
def test_an_entry_without_an_id_of_its_own_is_named_by_its_line(tmp_path: Path, entry: str, message: str) -> None:
    """It takes no other entry's place."""
    dags = dags_of(tmp_path, f"syncs:\n{ENTRY}{entry}")

    assert list(dags) == ["good", "syncs_line_3"]
    assert message in errors_of(dags["syncs_line_3"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("syncs: [", "syncs.yaml, line 1: this is not YAML"),
        ("syncs:\n  - a: b\n c: d\n", "syncs.yaml, line 3: this is not YAML"),
        ("- a\n", "syncs.yaml, line 1, the file: ['a'] is not of type 'object'"),
        ("", "syncs.yaml, line 1, the file: None is not of type 'object'"),
        ("snycs: []\n", "syncs.yaml, line 1, snycs: there is no such field"),
        ("defaults: {s3_buckte: x}\nsyncs: []\n", "syncs.yaml, line 1, defaults.s3_buckte: there is no such field"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_an_import_error(tmp_path: Path, text: str, message: str) -> None:
    """Airflow shows it, and keeps what it knows of the file's DAGs."""
    with pytest.raises(ConfigurationError) as failed:
        dags_of(tmp_path, text)

    assert message in str(failed.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """With the reason."""
    with pytest.raises(ConfigurationError, match=r"syncs\.yaml cannot be read: No such file"):
        sync_dags(tmp_path / "syncs.yaml")


def test_the_schema_has_every_argument_of_the_sync() -> None:
    """And is itself valid; editors check files with it."""
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)

    fields = set(schema["$defs"]["fields"]["properties"]) - set(DAG_FIELDS)
    assert fields == set(signature(s3_to_azure_sync).parameters) - NOT_OFFERED


def test_the_guides_check_names_the_invalid_entries(tmp_path: Path) -> None:
    """Before the file is deployed."""
    guide = GUIDE.read_text()
    (command,) = re.findall(r"```bash\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "syncs.yaml").write_text(f"syncs:\n{ENTRY}  - {{dag_id: bad, s3_bucket: exports}}\n")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-2:] == ["good ok", "bad invalid"]


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
def test_the_guides_file_copies(bucket: Bucket, container: ContainerClient, tmp_path: Path) -> None:
    """The YAML and the DAG file of docs/how-to/many-syncs.md, with names of this test."""
    from airflow.dag_processing.dagbag import DagBag

    guide = GUIDE.read_text()
    (syncs,), (code,) = (re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL) for kind in ("yaml", "python"))
    syncs = syncs.replace("acme-exports", bucket.name).replace("landing", container.container_name)
    (tmp_path / "syncs.yaml").write_text(syncs)
    (tmp_path / "many_syncs.py").write_text(code)
    bucket.put("sales/2026/a.csv", b"a")
    bucket.put("logs/b.gz", b"b")

    bag = DagBag(str(tmp_path / "many_syncs.py"), collect_dags=False)
    dags = bag.process_file(str(tmp_path / "many_syncs.py"))  # type: ignore[no-untyped-call]

    assert bag.import_errors == {}
    assert [run_dag(dag).state for dag in dags] == ["success", "success"]
    assert {name for name in container.list_blob_names() if not name.startswith("_")} == {
        "from-s3/sales/2026/a.csv",
        "logs/b.gz",
    }
