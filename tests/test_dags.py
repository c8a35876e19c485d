"""The DAGs in dags/ and the examples in the README, run as they stand."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, Asset

from tests.airflow_runs import run_dag
from tests.conftest import ROOT
from tests.ledgers import ledger_rows

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers import AzureServer, S3Server

NAMES = [path.stem for path in sorted((ROOT / "dags").glob("*.py"))]
COPYING = [name for name in NAMES if name != "s3_to_azure_audit"]
"""Those whose form names a bucket."""

pytestmark = [pytest.mark.servers, pytest.mark.airflow, pytest.mark.usefixtures("connections")]


def _dags(path: Path) -> dict[str, DAG]:
    """Return the DAGs of a file as Airflow finds them."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(path), collect_dags=False)
    dags = bag.process_file(str(path))  # type: ignore[no-untyped-call]
    assert bag.import_errors == {}
    return {dag.dag_id: dag for dag in dags}


def _dag(name: str) -> DAG:
    return _dags(ROOT / "dags" / f"{name}.py")[name]


@pytest.fixture
def endpoints(bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The required params of each form, where runs copy by default."""
    monkeypatch.setenv("S3_TO_AZURE_DRY_RUN", "false")
    return {"s3_bucket": bucket.name, "container_name": container.container_name}


_seconds = iter(range(10**6))


def _night_after(day: datetime) -> datetime:
    """Return a logical date that no other run has, whose last full day is the one before ``day``."""
    return day + timedelta(seconds=next(_seconds))


def _names(container: ContainerClient) -> list[str]:
    return [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_explains_itself(name: str) -> None:
    """Documentation with a table of its tasks, a description, tags, and a bound on its runs."""
    dag = _dag(name)

    assert dag.doc_md
    assert dag.doc_md.strip().startswith("### S3 → Azure")
    tasks = {task_id.rpartition(".")[2] for task_id in dag.task_ids}
    assert tasks == set(re.findall(r"^\| `(\w+)` \| [a-z]", dag.doc_md, re.MULTILINE))
    assert dag.description
    assert {"s3", "azure"} < dag.tags
    assert 1 < dag.max_active_runs <= 4
    assert {task.retries for task in dag.tasks} == {3}


@pytest.mark.parametrize("name", NAMES)
def test_a_form_can_be_sent_as_it_opens(name: str) -> None:
    """Each default is valid; a field that may be empty allows null, or the UI refuses the whole form."""
    params = _dag(name).params

    params.validate()
    schemas = {key: params.get_param(key).schema for key in params}
    needed = [key for key, schema in schemas.items() if schema["type"] == "string" and "enum" not in schema]
    assert needed == [*["s3_bucket"] * (name in COPYING), "container_name"]
    assert {key for key in params if params[key] is None} == {
        key for key, schema in schemas.items() if "null" in schema["type"]
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_form_explains_each_field_and_opens_with_few(name: str) -> None:
    """Five to eight fields are open; the rest is in one section."""
    params = _dag(name).params
    schemas = {key: params.get_param(key).schema for key in params}

    assert all(schema["title"] and schema["description_md"].endswith((".", "below).")) for schema in schemas.values())
    assert 5 <= sum("section" not in schema for schema in schemas.values()) <= 8
    assert {schema["section"] for schema in schemas.values() if "section" in schema} <= {"More"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s3_to_azure_nightly", {"s3_prefix": "in/", "blob_prefix": "b/", "day_folder": "%Y/", "only_modified": True}),
        ("s3_to_azure_history", {"s3_prefix": "in/", "blob_prefix": "b/", "day_folder": "%Y/"}),
        ("s3_to_azure_keys", {}),
        ("s3_to_azure_events", {"s3_prefix": "in/", "blob_prefix": "b/"}),
    ],
)
def test_the_environment_sets_a_forms_defaults(
    monkeypatch: pytest.MonkeyPatch, name: str, expected: dict[str, Any]
) -> None:
    """They are what scheduled and backfill runs use."""
    for field, value in {"PREFIX": "in/", "BLOB_PREFIX": "b/", "DAY_FOLDER": "%Y/", "ONLY_MODIFIED": "true"}.items():
        monkeypatch.setenv(f"S3_TO_AZURE_{field}", value)
    monkeypatch.setenv("S3_TO_AZURE_BUCKET", "acme-exports")
    monkeypatch.setenv("S3_TO_AZURE_CONTAINER", "landing")

    params = _dag(name).params

    expected |= {"s3_bucket": "acme-exports", "container_name": "landing"}
    assert {field: params[field] for field in expected} == expected


@pytest.mark.parametrize("queue", [None, "https://sqs.eu-west-1.amazonaws.com/123456789012/events"])
def test_events_are_received_from_the_queue_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, queue: str | None
) -> None:
    """Without one, the DAG is shown and has no schedule. What it watches is not what its own runs update."""
    if queue is not None:
        monkeypatch.setenv("S3_TO_AZURE_EVENTS_QUEUE", queue)

    dag = _dag("s3_to_azure_events")

    condition: Any = dag.timetable.asset_condition
    watched = condition.objects if queue else []
    assert [one.trigger.sqs_queue for asset in watched for one in asset.watchers] == ([queue] if queue else [])
    assert {asset.name for asset in watched}.isdisjoint(
        asset.name for task in dag.tasks for asset in task.outlets if isinstance(asset, Asset)
    )
    assert dag.timetable.can_be_scheduled is (queue is not None)


def test_the_environment_sets_the_defaults_of_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator makes every night's audit deep without a copy of the DAG."""
    values = {"LEDGER": "s3_to_azure_nightly", "RUNS": "all", "DEEP": "true", "SAMPLE": "0.01", "NIGHTS": "30"}
    for field, value in (values | {"MAX_BANDWIDTH": "50 MB"}).items():
        monkeypatch.setenv(f"S3_TO_AZURE_AUDIT_{field}", value)
    monkeypatch.setenv("S3_TO_AZURE_CONTAINER", "landing")

    params = _dag("s3_to_azure_audit").params

    params.validate()
    assert params.dump() == {
        "container_name": "landing",
        "ledger": "s3_to_azure_nightly",
        "runs": "all",
        "deep": True,
        "sample": 0.01,
        "nights": 30,
        "compare_with": "ledger",
        "blob_prefix": None,
        "seed": None,
        "night": None,
        "max_bandwidth": "50 MB",
    }


def test_the_audit_finds_what_nightly_copied(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its form as it opens, and deep; without a connection to S3."""
    bucket.put("a", b"x")
    run_dag(_dag("s3_to_azure_nightly"), conf=endpoints)
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    conf = {"container_name": container.container_name}

    shallow = run_dag(_dag("s3_to_azure_audit"), conf=conf)
    deep = run_dag(_dag("s3_to_azure_audit"), conf=conf | {"deep": True, "nights": 1, "max_bandwidth": "1 GB"})
    container.delete_blob("a")
    missing = run_dag(_dag("s3_to_azure_audit"), conf=conf)

    totals = [run.xcom("audit") for run in (shallow, deep, missing)]
    assert [run.state for run in (shallow, deep, missing)] == ["success", "success", "failed"]
    assert [(one["intact"], one["missing"], one["read"]) for one in totals] == [(1, 0, 0), (1, 0, 1), (0, 1, 0)]
    assert totals[0]["runs"][0]["dag_id"] == "s3_to_azure_nightly"


def test_the_preflight_proves_what_a_copy_needs(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any]
) -> None:
    """With its form as it opens, except for the check that waits; a misspelt prefix is amber."""
    bucket.put("in/key", b"content")

    run = run_dag(_dag("s3_to_azure_preflight"), conf=endpoints | {"s3_prefix": "in/", "skip": ["idle-connections"]})

    found = run.xcom("preflight")
    assert (run.state, found["counts"]["red"]) == ("success", 0)
    assert next(one["status"] for one in found["checks"] if one["name"] == "s3-range") == "green"
    assert list(container.list_blob_names()) == []


def test_nightly_copies_nothing_until_dry_run_is_off(
    bucket: Bucket, container: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Triggering a dry run unpauses the DAG: the scheduled run that this starts must be dry too."""
    monkeypatch.setenv("S3_TO_AZURE_BUCKET", bucket.name)
    monkeypatch.setenv("S3_TO_AZURE_CONTAINER", container.container_name)
    bucket.put("a", b"x")

    scheduled = run_dag(_dag("s3_to_azure_nightly"))
    monkeypatch.setenv("S3_TO_AZURE_DRY_RUN", "false")
    names_then = _names(container)
    armed = run_dag(_dag("s3_to_azure_nightly"))

    reports = [run.xcom("s3_to_azure.report") for run in (scheduled, armed)]
    assert [(one["dry_run"], one["cost"]["objects"], one["copied"]) for one in reports] == [(True, 1, 0), (False, 1, 1)]
    assert (names_then, _names(container)) == ([], ["a"])


@pytest.mark.parametrize("name", NAMES)
def test_a_dag_refuses_a_key_of_conf_that_its_form_does_not_have(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The field that was meant would keep its default."""
    bucket.put("a", b"x")

    run = run_dag(_dag(name), conf=endpoints | {"prefix": "in/"})

    assert run.state == "failed"
    out = capfd.readouterr()
    assert "the run's conf has the key 'prefix', which is not a param of this DAG" in out.out + out.err
    assert _names(container) == []


@pytest.mark.parametrize("name", [name for name in COPYING if name != "s3_to_azure_preflight"])
@pytest.mark.parametrize("create", [False, True])
def test_a_missing_container_is_created_only_on_request(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], name: str, create: bool
) -> None:
    """A misspelled name is an error, unless the form creates the container."""
    bucket.put("a", b"x")
    container.delete_container()

    run = run_dag(_dag(name), conf=endpoints | {"create_container": create})

    assert (run.state, container.exists()) == (("success", True) if create else ("failed", False))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("sources", "destinations", "schemas"),
    [
        ("", "", [{}, {}]),
        (
            "s3://acme-exports, s3://acme-logs/2026/*",
            "wasb_default/landing, https://acme.blob.core.windows.net/raw/x/*",
            [{"enum": ["acme-exports", "acme-logs"]}, {"enum": ["landing", "raw"]}],
        ),
        (
            "s3://acme-exports/*,s3://acme-*",
            "wasb_default/landing,wasb_default/*",
            [{"examples": ["acme-exports"]}, {"examples": ["landing"]}],
        ),
    ],
)
def test_forms_offer_what_guardrails_allow(
    monkeypatch: pytest.MonkeyPatch, name: str, sources: str, destinations: str, schemas: list[dict[str, Any]]
) -> None:
    """As choices where buckets and containers are named, as suggestions where patterns leave others open."""
    monkeypatch.setenv("AIRFLOW__S3_TO_AZURE__ALLOWED_SOURCES", sources)
    monkeypatch.setenv("AIRFLOW__S3_TO_AZURE__ALLOWED_DESTINATIONS", destinations)

    params = _dag(name).params

    params.validate()
    expected = dict(zip(("s3_bucket", "container_name"), schemas, strict=True))
    fields = {field: params.get_param(field).schema for field in expected if field in params}
    found = {field: {key: one[key] for key in ("enum", "examples") if key in one} for field, one in fields.items()}
    assert found == {field: expected[field] for field in fields}
    assert "container_name" in found


@pytest.mark.parametrize(
    ("day_folder", "expected"),
    [(None, ["in/2026/11/20/a", "in/2026/11/21/b"]), ("%Y/%m/%d/", ["in/2026/11/21/b"])],
)
def test_nightly_copies_everything_or_its_own_day(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], day_folder: str | None, expected: list[str]
) -> None:
    """The data interval of a manual run is the day before its logical date, as of a scheduled one."""
    for key in ("in/2026/11/20/a", "in/2026/11/21/b", "out/c"):
        bucket.put(key, b"x")

    run = run_dag(
        _dag("s3_to_azure_nightly"),
        conf=endpoints | {"s3_prefix": "in/", "day_folder": day_folder},
        logical_date=_night_after(datetime(2026, 11, 22, tzinfo=UTC)),
    )

    assert run.state == "success"
    assert _names(container) == expected
    assert run.xcom("s3_to_azure.report")["copied"] == len(expected)


@pytest.mark.parametrize(("days", "lookback", "found"), [(1, 0, 1), (2, 0, 0), (2, 24, 1), (3, 24, 0), (0, 24, 0)])
def test_nightly_copies_what_was_modified_on_its_own_day(
    bucket: Bucket, endpoints: dict[str, Any], days: int, lookback: int, found: int
) -> None:
    """Of runs so many days after the object was written, only its day's copies it, and one with such a lookback."""
    bucket.put("a", b"x")
    modified = bucket.client.head_object(Bucket=bucket.name, Key="a")["LastModified"]
    midnight = modified.replace(hour=0, minute=0, second=0)

    run = run_dag(
        _dag("s3_to_azure_nightly"),
        conf=endpoints | {"only_modified": True, "lookback_hours": lookback, "dry_run": True},
        logical_date=_night_after(midnight + timedelta(days)),
    )

    assert run.state == "success"
    assert run.xcom("s3_to_azure.report")["cost"]["objects"] == found


def test_nightly_runs_without_a_logical_date(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any]
) -> None:
    """A run that is triggered without a date has no data interval; it takes the day it was triggered."""
    today = datetime.now(UTC)
    key = today.strftime("%Y-%m-%d/a")
    bucket.put(key, b"x")
    bucket.put((today - timedelta(1)).strftime("%Y-%m-%d/a"), b"x")

    run = run_dag(
        _dag("s3_to_azure_nightly"),
        conf=endpoints | {"day_folder": "%Y-%m-%d/", "only_modified": True, "lookback_hours": 0},
        logical_date=None,
    )

    assert run.state == "success"
    assert _names(container) == [key]


def test_a_full_compare_copies_what_came_too_late_for_its_day(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any]
) -> None:
    """The next day's run does not list it; a run without the day folder copies it, and nothing else."""
    conf, night = endpoints | {"day_folder": "%Y-%m-%d/"}, _night_after(datetime(2026, 11, 22, tzinfo=UTC))
    bucket.put("2026-11-21/a", b"x")
    first = run_dag(_dag("s3_to_azure_nightly"), conf=conf, logical_date=night)
    bucket.put("2026-11-21/late", b"x")
    second = run_dag(_dag("s3_to_azure_nightly"), conf=conf, logical_date=night + timedelta(1))

    full = run_dag(
        _dag("s3_to_azure_nightly"),
        conf=endpoints | {"day_folder": None},
        logical_date=night + timedelta(days=1, hours=9),
    )

    counts = [run.xcom("s3_to_azure.report") for run in (first, second, full)]
    assert [(one["copied"], one["unchanged"]) for one in counts] == [(1, 0), (0, 0), (1, 1)]
    assert _names(container) == ["2026-11-21/a", "2026-11-21/late"]


HISTORY = ("in/2025-12-31/a", "in/2026-01-01/b.csv", "in/2026-01-01/_tmp/c", "in/2026-02-15/d.csv", "in/notes", "out/e")


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"day_folder": "%Y-%m-%d/"}, [*HISTORY]),
        (
            {"s3_prefix": "in/", "exclude": ["**/_tmp/**", "in/notes"], "include": ["**/*.csv", "**/c"]},
            ["b.csv", "d.csv"],
        ),
        (
            {"s3_prefix": "in/", "day_folder": "%Y-%m-%d/", "first_day": "2025-12-31", "last_day": "2026-01-01"},
            ["a", "b.csv", "c"],
        ),
        ({"s3_prefix": "in/", "day_folder": "%Y-%m-%d/", "first_day": "2026-01-01"}, ["b.csv", "c", "d.csv"]),
        (
            {"s3_prefix": "in/", "day_folder": "%Y-%m-%d/", "last_day": "2026-12-31", "include": ["**.csv"]},
            ["b.csv", "d.csv"],
        ),
        ({"first_day": "2026-01-01", "last_day": "2026-02-15"}, []),
    ],
)
def test_history_copies_a_range_of_days(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], conf: dict[str, Any], expected: list[str]
) -> None:
    """By the day in the key, or by when it was last modified, which all of these were just now."""
    for key in HISTORY:
        bucket.put(key, b"x")

    run = run_dag(_dag("s3_to_azure_history"), conf=endpoints | conf)

    assert run.state == "success"
    wanted = {name.rpartition("/")[2] for name in expected}
    assert _names(container) == sorted(key for key in HISTORY if key.rpartition("/")[2] in wanted)


def test_history_copies_the_keys_of_a_list(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any]
) -> None:
    """By its URL in the form; of them only those of the day."""
    bucket.put("lists/keys.csv", b"key\n2026/01/a\n2026/02/b\n")
    for key in ("2026/01/a", "2026/01/z", "2026/02/b"):
        bucket.put(key, b"x")
    days = {"day_folder": "%Y/%m/", "last_day": "2026-01-31"}

    run = run_dag(
        _dag("s3_to_azure_history"), conf=endpoints | days | {"s3_keys": [f"s3://{bucket.name}/lists/keys.csv"]}
    )

    assert run.state == "success"
    assert _names(container) == ["2026/01/a"]


@pytest.mark.parametrize(
    ("first", "last", "found"), [(0, 0, 1), (0, None, 1), (None, 0, 1), (1, None, 0), (None, -1, 0)]
)
def test_history_includes_both_ends_of_the_range(
    bucket: Bucket, endpoints: dict[str, Any], first: int | None, last: int | None, found: int
) -> None:
    """An object is in the range that begins, or ends, on the day it was last modified, and in none beside it."""
    bucket.put("a", b"x")
    modified = bucket.client.head_object(Bucket=bucket.name, Key="a")["LastModified"].date()
    ends = {"first_day": first, "last_day": last}
    conf = {name: None if days is None else (modified + timedelta(days)).isoformat() for name, days in ends.items()}

    run = run_dag(_dag("s3_to_azure_history"), conf=endpoints | conf | {"dry_run": True})

    assert run.xcom("s3_to_azure.report")["cost"]["objects"] == found


def test_history_reports_the_cost_first_and_then_copies(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any]
) -> None:
    """A dry run copies nothing; the same form without it copies what was announced, under the blob prefix."""
    for name in "abc":
        bucket.put(f"in/{name}", b"x" * 2**20)
    conf = endpoints | {"s3_prefix": "in/", "blob_prefix": "from-s3/", "egress_price_per_gib": 1024}

    dry = run_dag(_dag("s3_to_azure_history"), conf=conf | {"dry_run": True})
    names_then = _names(container)
    real = run_dag(_dag("s3_to_azure_history"), conf=conf)

    announced, copied = dry.xcom("s3_to_azure.report"), real.xcom("s3_to_azure.report")
    assert (dry.state, names_then, announced["dry_run"], announced["copied"]) == ("success", [], True, 0)
    assert (announced["cost"]["objects"], announced["cost"]["egress_price"]) == (3, 3.0)
    assert (real.state, copied["copied"], copied["copied_bytes"]) == ("success", 3, announced["cost"]["bytes"])
    assert _names(container) == ["from-s3/in/a", "from-s3/in/b", "from-s3/in/c"]


@pytest.mark.parametrize(
    ("conf", "state"),
    [
        ({"max_objects": 1}, "failed"),
        ({"max_bytes": 1}, "failed"),
        ({"max_objects": 2, "max_bytes": 2}, "success"),
        ({"day_folder": "%j/", "first_day": "2026-01-01"}, "failed"),
        ({"first_day": "2026-01-02", "last_day": "2026-01-01"}, "failed"),
    ],
)
def test_history_refuses_what_is_too_much_or_makes_no_sense(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], conf: dict[str, Any], state: str
) -> None:
    """Before anything is copied, and without a retry."""
    bucket.put("a", b"x")
    bucket.put("b", b"x")

    run = run_dag(_dag("s3_to_azure_history"), conf=endpoints | conf)

    assert run.state == state
    assert run.states()["s3_to_azure.plan", -1] == state
    assert _names(container) == (["a", "b"] if state == "success" else [])


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ({"s3_keys": ["{{ 6 * 7 }}", "b/2"]}, ["b/2", "{{ 6 * 7 }}"]),
        ({"s3_prefix": "b/"}, ["b/1", "b/2"]),
        ({"s3_keys": ["b/2", "gone"], "s3_prefix": "b/"}, ["b/2"]),
        ({"s3_prefix": "nothing/"}, []),
    ],
)
def test_keys_copies_what_was_typed_or_what_is_under_the_prefix(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any], conf: dict[str, Any], expected: list[str]
) -> None:
    """Through plan and ledger; a folder placeholder is skipped."""
    for key in ("{{ 6 * 7 }}", "b/1", "b/2"):
        bucket.put(key, b"x")
    bucket.put("b/", b"")

    run = run_dag(_dag("s3_to_azure_keys"), conf=endpoints | conf)

    assert run.state == "success"
    assert _names(container) == expected
    report = run.xcom("s3_to_azure.report")
    assert (report["copied"], report["missing"]) == (len(expected), 0)


def test_keys_copies_more_than_1_000_keys(
    bucket: Bucket, container: ContainerClient, endpoints: dict[str, Any]
) -> None:
    """Each is in the ledger once, also one that does not exist."""
    keys = [f"in/{number:04}" for number in range(1_002)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: bucket.put(key, key.encode()), keys[1:]))

    run = run_dag(_dag("s3_to_azure_keys"), conf=endpoints | {"s3_keys": keys})

    report = run.xcom("s3_to_azure.report")
    rows = ledger_rows(container, "_s3_to_azure/s3_to_azure_keys/")
    assert run.state == "success"
    assert [report[name] for name in ("objects", "copied", "skipped", "missing")] == [1_002, 1_001, 1, 0]
    assert sorted(row["key"] for row in rows) == keys
    assert {row["key"] for row in rows if row["status"] != "copied"} == {keys[0]}
    assert _names(container) == keys[1:]


def _first_examples() -> list[str]:
    """Return the DAG of the README, and the guide's DAG that copies one object."""
    guide = (ROOT / "docs/how-to/your-own-dag.md").read_text()
    pages = [(ROOT / "README.md").read_text(), guide[guide.index("## One object") :]]
    return [re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0] for page in pages]


def test_the_first_examples_run(s3_server: S3Server, azure_server: AzureServer, tmp_path: Path) -> None:
    """The first DAGs of the documentation copy what they describe, unchanged."""
    client = s3_server.client()
    client.create_bucket(Bucket="acme-exports", CreateBucketConfiguration={"LocationConstraint": s3_server.region})
    for key in ("exports/2026-11-21/orders.parquet", "exports/2025/12/31/a.csv"):
        client.put_object(Bucket="acme-exports", Key=key, Body=key.encode())
    container = azure_server.container_client("landing")

    states = []
    for number, example in enumerate(_first_examples()):
        path = tmp_path / f"example_{number}.py"
        path.write_text(example)
        (dag,) = _dags(path).values()
        states.append(run_dag(dag, logical_date=datetime(2026, 1, 1, tzinfo=UTC)).state)

    assert states == ["success", "success"]
    assert _names(container) == ["exports/2025/12/31/a.csv", "s3/exports/2026-11-21/orders.parquet"]
