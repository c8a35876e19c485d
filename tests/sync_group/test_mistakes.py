"""The mistakes of the first hour: the error, whether it is retried, and the state of the run."""

from __future__ import annotations

import base64
import json
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from airflow_s3_azure.engine.errors import MAX_FIRST_LINE, NEXT_LINE, ConfigurationError
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator, S3ToAzurePlanOperator
from airflow_s3_azure.operators.arguments import ARGUMENTS
from airflow_s3_azure.operators.delete import S3ToAzureApproveDeleteOperator
from airflow_s3_azure.operators.restore import S3ToAzureApproveRestoreOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import mark_success
from tests.sync_group.nights import Sync

if TYPE_CHECKING:
    from tests.servers import AzureServer, S3Server

pytestmark = pytest.mark.airflow

VALUES = [
    ("s3_bucket", "s3://acme/exports/", "s3_bucket='acme', s3_prefix='exports'"),
    ("s3_bucket", "acme/exports", "it takes the bucket's name alone: s3_bucket='acme', s3_prefix='exports'"),
    ("s3_bucket", "https://acme.s3.amazonaws.com", "it takes the bucket's name alone"),
    ("s3_bucket", "", "s3_bucket is empty; name the bucket to copy from"),
    ("s3_bucket", 5, "s3_bucket is 5; it takes text"),
    ("s3_prefix", "s3://acme/exports/", "s3_bucket='acme', s3_prefix='exports/'"),
    (
        "container_name",
        "landing/raw",
        "it takes the container's name alone: container_name='landing', blob_prefix='raw'",
    ),
    (
        "container_name",
        "https://acme.blob.core.windows.net/landing",
        "it takes the container's name alone: container_name='landing'",
    ),
    ("container_name", "Landing", ": 'landing'"),
    ("container_name", "", "container_name is empty; name the container to copy to"),
    ("block_size", "8 megabytes", "block_size is '8 megabytes'; it takes a size in bytes, or with a unit"),
    ("block_size", 1000, "block_size is 1000; it takes 64 KiB to 4000 MiB, such as '8 MiB'"),
    ("block_size", "5 GiB", "block_size is '5 GiB'; it takes 64 KiB to 4000 MiB"),
    ("block_size", "{{ 8 }}", "this argument is not rendered as a template"),
    ("min_size", "1 apple", "min_size is '1 apple'; it takes a size in bytes, or with a unit"),
    ("max_size", "0.3 B", "max_size is '0.3 B'; it takes a size"),
    ("max_bytes", -1, "max_bytes is -1; it takes a size"),
    ("batch_size", 0, "batch_size is 0; it takes at least 1 byte"),
    ("batch_objects", 0, "batch_objects is 0; it takes at least 1 object"),
    ("max_concurrency", 0, "max_concurrency is 0; it takes at least 1 thread"),
    ("max_bandwidth", 0, "max_bandwidth is 0; it takes bytes per second above zero"),
    ("max_objects", 1.5, "max_objects is 1.5; it takes a whole number"),
    ("mode", "azcopy", "mode is 'azcopy'; it takes 'stream' or 'server_side'"),
    ("verify", "maybe", "verify is 'maybe'; it takes"),
    ("archived", "restore all", "archived is 'restore all'; it takes 'skip', 'fail' or 'restore'"),
    ("restore_tier", "Fast", "restore_tier is 'Fast'; it takes 'Bulk', 'Standard' or 'Expedited'"),
    ("restore_days", 0, "restore_days is 0; it takes at least 1 day"),
    ("restore_poll_interval", 5, "restore_poll_interval is 5; it takes at least 15 seconds"),
    ("restore_price_per_gib", -1, "restore_price_per_gib is -1; it takes a number from 0 up"),
    ("compare", "md5", "compare is 'md5'; it takes 'etag', 'checksum', 'size' or 'always'"),
    ("access_tier", "Warm", "access_tier is 'Warm'; it takes 'Hot', 'Cool', 'Cold' or 'Archive' or None"),
    ("access_tier", '{"GLACIER": "Arch', "which is no JSON object; it takes a tier or"),
    ("encryption_scope", "my scope", "encryption_scope is 'my scope'; it takes the name of a scope: 3 to 63 letters"),
    ("delete", "all", "delete is 'all'; it takes 'extra' or None"),
    ("lookback", 6, "lookback is 6; it takes a duration such as timedelta(hours=1)"),
    ("slice", timedelta(0), "slice is 0:00:00; it takes a time above zero"),
    ("first_day", "yesterday", "first_day is 'yesterday'; it takes a day such as 2026-11-22"),
    ("modified_since", "yesterday", "modified_since is 'yesterday'; it takes a time such as"),
    ("overwrite", "maybe", "overwrite is 'maybe'; it takes True or False"),
    ("overwrite_archived", "yes", "overwrite_archived is 'yes'; it takes True or False"),
    ("dry_run", "maybe", "dry_run is 'maybe'; it takes True or False"),
]
"""An argument, a wrong value, and the error."""


def _sync(**arguments: Any) -> None:
    with DAG("mistake"):
        s3_to_azure_sync(**{"s3_bucket": "bucket", "container_name": "container", **arguments})


@pytest.mark.parametrize(("name", "value", "message"), VALUES)
def test_a_mistake_shows_when_the_dag_is_parsed(name: str, value: Any, message: str) -> None:
    """As an import error, before any task runs; the cause comes first."""
    with pytest.raises(ConfigurationError) as caught:
        _sync(**{name: value})

    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{name} is ")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("approve_restore_above", {"archived": "restore"}),
        ("mode", {"deferrable": True}),
        ("include", {}),
    ],
)
def test_a_param_of_the_dag_is_checked_at_run_time(name: str, more: dict[str, Any]) -> None:
    """Its value is not known when the DAG is parsed, neither alone nor in a list."""
    with DAG("params", params={"value": "server_side"}) as dag:
        value = dag.param("value")
        given: dict[str, Any] = {name: [value] if name == "include" else value, **more}
        s3_to_azure_sync(s3_bucket="bucket", container_name="container", **given)

    assert dag.has_task("s3_to_azure.approve_restore") is (name == "approve_restore_above")


def test_a_param_of_the_dag_does_not_decide_which_tasks_there_are() -> None:
    """A deletion is refused with the DAG, and an approval cannot be turned off."""
    with DAG("params", params={"value": None}) as dag:
        value: Any = dag.param("value")
        with pytest.raises(ConfigurationError, match=r"delete is .*; it takes 'extra' or None"):
            s3_to_azure_sync("refused", s3_bucket="bucket", container_name="container", delete=value)
        s3_to_azure_sync(s3_bucket="bucket", container_name="container", delete="extra", approve_delete=value)

    assert dag.has_task("s3_to_azure.approve_delete")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [one for one in VALUES if ARGUMENTS[one[0]].is_templated and one[0] != "dry_run" and one[1] != 5],
)
def test_a_mistake_that_a_template_renders_fails_the_plan(name: str, value: Any, message: str) -> None:
    """At its start, without a retry, and for the arguments of the copy tasks too."""
    attributes = {"s3_bucket": "bucket", "container_name": "container", name: "{{ params.value }}"}
    operator = S3ToAzurePlanOperator(task_id="plan", **attributes)
    operator.render_template_fields({"params": {"value": value}})

    with pytest.raises(AirflowFailException) as caught:
        operator.execute({})

    assert message.replace(repr(value), repr(str(value))) in str(caught.value).replace("\n  ", " ")
    assert len(str(caught.value).splitlines()[0]) <= MAX_FIRST_LINE


def test_a_mistake_in_partial_arguments_fails_the_mapped_task_without_a_retry() -> None:
    """Airflow makes a mapped operator when its task runs; an error in its constructor would be retried."""
    operator = S3ToAzureBlobStreamOperator(
        task_id="copy",
        s3_bucket="bucket",
        s3_key="a",
        container_name="container",
        max_concurrency=0,
        _airflow_from_mapped=True,
    )

    with pytest.raises(AirflowFailException, match="max_concurrency is 0"):
        operator.execute({})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "stream", "deferrable": True}, "deferrable=True needs mode='server_side'"),
        (
            {"mode": "server_side", "deferrable": True, "slice": timedelta(hours=1)},
            "slice and deferrable are both given",
        ),
        ({"overwrite_archived": True, "overwrite": False}, "overwrite_archived is True, but overwrite is False"),
        ({"overwrite_archived": True, "mode": "server_side"}, "overwrite_archived is True, but mode is 'server_side'"),
    ],
)
def test_arguments_that_contradict_each_other_show_when_the_dag_is_parsed(
    arguments: dict[str, Any], message: str
) -> None:
    """Each of them alone is right."""
    with pytest.raises(ConfigurationError, match=message):
        _sync(**arguments)


@pytest.mark.parametrize("name", ["block_size", "min_size", "max_size", "max_bytes", "batch_size", "max_bandwidth"])
@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("8 MiB", 8 * 1024**2),
        ("8MiB", 8 * 1024**2),
        ("8MB", 8_000_000),
        ("1.5 mb", 1_500_000),
        ("1MB", 1_000_000),
        ("100_000", 100_000),
        ("512 KiB", 512 * 1024),
        ("1e6", 1_000_000),
        (100_000, 100_000),
        (1e6, 1_000_000),
    ],
)
def test_a_size_may_have_a_unit(name: str, value: Any, size: int) -> None:
    """Decimal or binary, with or without a space."""
    assert ARGUMENTS[name].read(name, value) == size


AZURE, S3, NOWHERE = "wasb_default", "aws_default", "nowhere.invalid"


@dataclass(frozen=True)
class Given:
    """What a mistake is made with: the two servers, and where Airflow's connections come from."""

    s3: S3Server
    azure: AzureServer
    container: str
    monkeypatch: pytest.MonkeyPatch

    def connection(self, conn_id: str, **fields: Any) -> None:
        """Change fields of a connection; ``extra`` is merged."""
        found = self.s3.airflow_connection() if conn_id == S3 else self.azure.airflow_connection()
        extra = {**found.get("extra", {}), **fields.pop("extra", {})}
        self.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps({**found, **fields, "extra": extra}))

    def sas(self, permission: ContainerSasPermissions, life: timedelta) -> None:
        """Let the connection to Azure hold a SAS of the container."""
        token = generate_container_sas(
            self.azure.account,
            self.container,
            account_key=self.azure.key,
            permission=permission,
            start=datetime.now(UTC) - timedelta(days=2),
            expiry=datetime.now(UTC) + life,
        )
        self.connection(AZURE, password=None, extra={"sas_token": token})

    def no_host(self) -> None:
        """Make DNS report one name as unknown."""
        resolve = socket.getaddrinfo

        def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
            if str(host).endswith(NOWHERE):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return resolve(host, *rest, **named)

        self.monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    def unknown_s3(self) -> None:
        """Misspell the host of S3."""
        self.no_host()
        self.connection(S3, extra={"endpoint_url": f"http://{NOWHERE}:9000"})

    def unknown_azure(self) -> None:
        """Misspell the host of Azure."""
        self.no_host()
        self.connection(AZURE, host=f"https://acme.blob.core.{NOWHERE}")


@dataclass(frozen=True)
class Mistake:
    """A mistake of the first hour.

    :param cause: what the first line of the error begins with
    :param remedy: what the error advises
    :param given: makes the mistake outside the DAG
    :param fails: the task that fails; None: the DAG is not parsed
    """

    cause: str
    remedy: str
    arguments: dict[str, Any] = field(default_factory=dict)
    given: Callable[[Given], object] = lambda _: None
    conf: dict[str, Any] = field(default_factory=dict)
    fails: str | None = "plan"


_READ_ONLY = ContainerSasPermissions(read=True, list=True)
MISTAKES = {
    "truncated account key": Mistake(
        "the password of connection 'wasb_default' is not an account key",
        "Copy the key again from the storage account's access keys",
        given=lambda given: given.connection(AZURE, password=given.azure.key[:-3]),
    ),
    "AWS keys in a wasb connection": Mistake(
        "connection 'wasb_default' (wasb_conn_id) holds AWS keys",
        "are aws_conn_id and wasb_conn_id swapped?",
        given=lambda given: given.connection(AZURE, login="AKIAIOSFODNN7EXAMPLE", password="secret-access-key"),
    ),
    "AWS connection used as wasb": Mistake(
        "wasb_conn_id is 'aws_default', a connection of type 'aws'; it takes one of type 'wasb'",
        "are aws_conn_id and wasb_conn_id swapped?",
        {"wasb_conn_id": S3},
    ),
    "wasb connection used as aws": Mistake(
        "aws_conn_id is 'wasb_default', a connection of type 'wasb'; it takes one of type 'aws'",
        "are aws_conn_id and wasb_conn_id swapped?",
        {"aws_conn_id": AZURE},
    ),
    "missing connection": Mistake(
        "there is no Airflow connection 'aws_prod' (aws_conn_id)",
        "add it under Admin → Connections, or set AIRFLOW_CONN_AWS_PROD",
        {"aws_conn_id": "aws_prod"},
    ),
    "URL as a bucket": Mistake(
        "s3_bucket is 's3://acme/exports/'",
        "s3_bucket='acme', s3_prefix='exports'",
        {"s3_bucket": "s3://acme/exports/"},
        fails=None,
    ),
    "prefix in a bucket": Mistake(
        "s3_bucket is 'acme/exports'",
        "s3_bucket='acme', s3_prefix='exports'",
        {"s3_bucket": "acme/exports"},
        fails=None,
    ),
    "URL as a bucket, in a template": Mistake(
        "s3_bucket is 's3://acme/exports/'",
        "s3_bucket='acme', s3_prefix='exports'",
        {"s3_bucket": "{{ 's3://acme/exports/' }}"},
    ),
    "missing bucket": Mistake(
        "S3 returned 404 NoSuchBucket: there is no bucket 'no-such-bucket-of-mine'",
        "check the name",
        {"s3_bucket": "no-such-bucket-of-mine"},
    ),
    "missing container": Mistake(
        "there is no container 'no-such-container'",
        "create it, or set create_container=True",
        {"container_name": "no-such-container"},
    ),
    "wrong AWS secret": Mistake(
        "S3 returned 403 SignatureDoesNotMatch: the secret access key of AWS connection 'aws_default' is wrong",
        "it does not belong to its access key ID. Enter both again",
        given=lambda given: given.connection(S3, password="not-the-secret"),
    ),
    "wrong account key": Mistake(
        "the container could not be listed: Azure returned 403 AuthorizationFailure",  # Azurite's code
        "check the account key or the SAS, and its rights",
        given=lambda given: given.connection(AZURE, password=base64.b64encode(b"k" * 64).decode()),
    ),
    "expired SAS": Mistake(
        "the container could not be listed: Azure returned 403",
        "put a new one into the wasb connection",
        given=lambda given: given.sas(_READ_ONLY, -timedelta(days=1)),
    ),
    "read-only SAS": Mistake(
        "manifest.jsonl could not be written: Azure returned 403 AuthorizationPermissionMismatch",
        "the wasb connection needs to read and write blobs here",
        given=lambda given: given.sas(_READ_ONLY, timedelta(days=1)),
    ),
    "unknown host of S3": Mistake(
        "S3 could not be reached: there is no host 'nowhere.invalid'",
        "check region_name and endpoint_url of AWS connection 'aws_default'",
        given=Given.unknown_s3,
    ),
    "unknown host of Azure": Mistake(
        "Azure could not be reached: there is no host 'acme.blob.core.nowhere.invalid'",
        "check host and login of connection 'wasb_default'",
        given=Given.unknown_azure,
    ),
    "misspelled size": Mistake(
        "block_size is '8 megabytes'",
        "it takes a size in bytes, or with a unit",
        {"block_size": "8 megabytes"},
        fails=None,
    ),
    "tiny blocks": Mistake(
        "block_size is 1000", "it takes 64 KiB to 4000 MiB, such as '8 MiB'", {"block_size": 1000}, fails=None
    ),
    "no threads": Mistake("max_concurrency is 0", "it takes at least 1 thread", {"max_concurrency": 0}, fails=None),
    "URL as a prefix": Mistake(
        "s3_prefix is 's3://acme/exports/'",
        "s3_bucket='acme', s3_prefix='exports/'",
        {"s3_prefix": "s3://acme/exports/"},
        fails=None,
    ),
    "slash before a prefix": Mistake(
        "no key begins with s3_prefix '/exports/', but keys begin with 'exports/'",
        "set s3_prefix='exports/'",
        {"s3_prefix": "/exports/"},
    ),
    "more plans than Airflow maps over": Mistake(
        "2 plans have something to copy, but Airflow maps over 1 batches at most ([core] max_map_length)",
        "raise it, or give fewer, shorter prefixes",
        {"s3_prefix": ["exports/a", "exports/b"]},
        given=lambda given: given.monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "1"),
        fails="batches",
    ),
    "misspelled param": Mistake(
        "the run's conf has the key 'first_day', which is not a param of this DAG",
        "did you mean 'from_date'?",
        {"params": {"from_date": None}},
        conf={"first_day": "2026-11-01"},
    ),
    "unknown param": Mistake(
        "the run's conf has the key 'bucket', which is not a param of this DAG",
        "Nothing was listed or copied",
        {"params": {"from_date": None}},
        conf={"bucket": "acme"},
    ),
}
"""Each by its name."""


@pytest.fixture
def given(sync: Sync, s3_server: S3Server, azure_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> Given:
    """What the mistakes of a sync are made with."""
    return Given(s3_server, azure_server, sync.container.container_name, monkeypatch)


@pytest.mark.servers
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_explained_once_and_copies_nothing(sync: Sync, given: Given, name: str) -> None:
    """The cause comes first, in a line of at most 200 characters; the error names the remedy; no try is repeated."""
    mistake = MISTAKES[name]
    sync.put("exports/a", "exports/b")
    mistake.given(given)
    if mistake.fails is None:
        with pytest.raises(ConfigurationError) as caught:
            sync.dag(**mistake.arguments)
        error, tries = f"ConfigurationError: {caught.value}", {}
    else:
        errors: dict[str, BaseException] = {}
        dag = sync.dag(**mistake.arguments, retries=2, retry_delay=timedelta(0), errors=errors)
        night = sync.carry_out(dag, mistake.conf)
        error, tries = str(errors[mistake.fails]), night.run.tries()
        assert night.state == "failed"
        assert night.states()["report"] == "failed"

    assert error.partition(": ")[2].startswith(mistake.cause)
    assert mistake.remedy in error.replace(NEXT_LINE, " ")
    assert len(error.splitlines()[0]) <= MAX_FIRST_LINE
    assert set(tries.values()) <= {0, 1}
    assert sync.blobs() == {}


@pytest.mark.servers
def test_a_dag_without_params_may_read_any_conf(sync: Sync) -> None:
    """Its author knows which keys there are."""
    sync.put("a", "b")

    night = sync.night({"prefix": "a"}, s3_prefix="{{ dag_run.conf.prefix }}")

    assert night.state == "success"
    assert sync.blobs() == {"a": b"a"}


@pytest.mark.servers
@pytest.mark.parametrize("key", ["openlineage", "airflow/task_span_detail_level"])
def test_what_airflow_adds_to_a_conf_is_no_mistake(sync: Sync, key: str) -> None:
    """``TriggerDagRunOperator`` passes the parent run to OpenLineage, and a key of Airflow sets the detail of traces."""
    sync.put("exports/a", "exports/b")
    conf = {"from": "exports/a", key: {"parentJobName": "parent.trigger"} if key == "openlineage" else 2}

    night = sync.night(conf, params={"from": ""}, s3_prefix="{{ params.from }}")

    assert night.state == "success"
    assert sync.blobs() == {"exports/a": b"exports/a"}


@pytest.mark.servers
@pytest.mark.parametrize("key", ["/exports/a", "other"])
def test_a_leading_slash_is_allowed(sync: Sync, key: str) -> None:
    """S3 keys may begin with a slash, and a prefix may be empty tonight."""
    sync.put(key)

    assert sync.night(s3_prefix="/exports/").state == "success"


@pytest.mark.servers
@pytest.mark.parametrize("prefixes", ["", ["a", "b"]])
def test_there_are_no_more_batches_than_airflow_maps_over(
    sync: Sync, monkeypatch: pytest.MonkeyPatch, prefixes: str | list[str]
) -> None:
    """As many as ``[core] max_map_length`` allows where the plan is made."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    sync.put(*(f"{prefix}{number}" for prefix in "ab" for number in range(4)))

    night = sync.night(s3_prefix=prefixes, batch_objects=1)

    assert night.state == "success"
    assert len(night.run.labels("s3_to_azure.copy")) <= 3
    assert night.totals("copied") == (8,)


@pytest.mark.servers
@pytest.mark.parametrize("prefixes", ["none/", ["in/", "none/"]])
def test_a_plan_that_was_marked_as_success_by_hand_is_named_and_turns_no_run_green(
    sync: Sync, prefixes: str | list[str]
) -> None:
    """It made no plan, so nobody knows which keys were not copied. The error is not retried."""
    sync.put("in/a")
    errors: dict[str, BaseException] = {}

    def keep_error(context: Any) -> None:
        errors["report"] = context["exception"]

    night = sync.night(s3_prefix=prefixes, require_keys=True, errors=errors, on_failure_callback=keep_error)
    assert isinstance(errors["plan"], AirflowFailException)
    errors.clear()

    mark_success(night.run, "s3_to_azure.plan", -1 if isinstance(prefixes, str) else 1)
    night = sync.clear(night)

    failed, plan = ("report", "plan") if isinstance(prefixes, str) else ("batches", r"plan\[1\]")
    assert night.state == "failed"
    assert isinstance(errors[failed], AirflowFailException)
    message = (
        rf"s3_to_azure.{plan} is a success, but made no plan.* marked as success by hand; .*Clear s3_to_azure.{plan} "
    )
    assert re.match(message, str(errors[failed]))
    assert {state for task, state in night.states().items() if task.startswith("copy")} == {"upstream_failed"}


@pytest.mark.parametrize("operator", [S3ToAzureApproveDeleteOperator, S3ToAzureApproveRestoreOperator])
def test_nothing_is_approved_of_a_plan_that_was_marked_as_success_by_hand(operator: Any) -> None:
    """An approval needs to know what it is for."""
    ti = SimpleNamespace(
        dag_id="dag",
        run_id="run",
        get_task_states=lambda **_: {"run": {"s3_to_azure.plan": "success"}},
        xcom_pull=lambda **_: None,
    )
    approval = operator(task_id="approve", plan_task_id="s3_to_azure.plan", response_timeout=timedelta(hours=1))

    with pytest.raises(AirflowFailException, match=r"s3_to_azure\.plan is a success, but made no plan"):
        approval.execute({"ti": ti})
