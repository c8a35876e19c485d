"""The mistakes of the first hour: what the error says, whether it is retried, and what becomes of the run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.errors import MAX_FIRST_LINE, ConfigurationError
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator, S3ToAzurePlanOperator
from airflow_s3_azure.operators.arguments import ARGUMENTS
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.sync_group.nights import Sync

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
    ("compare", "md5", "compare is 'md5'; it takes 'etag', 'size' or 'always'"),
    ("access_tier", "Warm", "access_tier is 'Warm'; it takes 'Hot', 'Cool', 'Cold' or 'Archive' or None"),
    ("delete", "all", "delete is 'all'; it takes 'extra' or None"),
    ("lookback", 6, "lookback is 6; it takes a duration such as timedelta(hours=1)"),
    ("slice", timedelta(0), "slice is 0:00:00; it takes a time above zero"),
    ("first_day", "yesterday", "first_day is 'yesterday'; it takes a day such as 2026-11-22"),
    ("modified_since", "yesterday", "modified_since is 'yesterday'; it takes a time such as"),
    ("overwrite", "maybe", "overwrite is 'maybe'; it takes True or False"),
    ("dry_run", "maybe", "dry_run is 'maybe'; it takes True or False"),
]
"""An argument, a value that is a mistake, and what the error says."""


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


@pytest.mark.servers
@pytest.mark.parametrize(
    ("conf", "message"),
    [
        (
            {"first_day": "2026-11-01"},
            "the run's conf has the key 'first_day', which is no param of this DAG; did you mean 'from_date'?",
        ),
        ({"bucket": "acme"}, "'bucket', which is no param of this DAG. Nothing was listed or copied."),
    ],
)
def test_an_unknown_key_of_the_runs_conf_is_refused(
    sync: Sync, said: Callable[[], str], conf: dict[str, Any], message: str
) -> None:
    """Where the DAG has params: the param that was meant would stay at its default, and select everything."""
    sync.put("a")

    night = sync.night(conf, params={"from_date": None}, retries=2)

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    assert message in said()
    assert sync.blobs() == {}


@pytest.mark.servers
def test_a_dag_without_params_may_read_any_conf(sync: Sync) -> None:
    """Its author knows which keys there are."""
    sync.put("a", "b")

    night = sync.night({"prefix": "a"}, s3_prefix="{{ dag_run.conf.prefix }}")

    assert night.state == "success"
    assert sync.blobs() == {"a": b"a"}


@pytest.mark.servers
def test_a_leading_slash_that_selects_nothing_is_named(sync: Sync, said: Callable[[], str]) -> None:
    """Where the same prefix without it selects something."""
    sync.put("exports/a")

    night = sync.night(s3_prefix="/exports/", retries=2)

    assert night.state == "failed"
    assert (
        "no key begins with s3_prefix '/exports/', but keys begin with 'exports/': set s3_prefix='exports/'" in said()
    )


@pytest.mark.servers
@pytest.mark.parametrize("key", ["/exports/a", "other"])
def test_a_leading_slash_may_be_meant(sync: Sync, key: str) -> None:
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
def test_more_plans_than_batches_name_the_setting(
    sync: Sync, monkeypatch: pytest.MonkeyPatch, said: Callable[[], str]
) -> None:
    """And the number: batches of different plans cannot be joined."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "1")
    sync.put("a", "b")

    night = sync.night(s3_prefix=["a", "b"], retries=2)

    assert night.states()["batches"] == "failed"
    assert "2 plans have something to copy, but Airflow maps over 1 batches at most ([core] max_map_length)" in said()


@pytest.mark.servers
@pytest.mark.parametrize(
    ("argument", "conn_id", "conn_type", "taken"),
    [("aws_conn_id", "wasb_default", "wasb", "aws"), ("wasb_conn_id", "aws_default", "aws", "wasb")],
)
def test_swapped_connections_are_named(
    sync: Sync, said: Callable[[], str], argument: str, conn_id: str, conn_type: str, taken: str
) -> None:
    """By their types, before either cloud is asked."""
    arguments: dict[str, Any] = {argument: conn_id}

    night = sync.night(**arguments, retries=2)

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    assert (
        f"{argument} is {conn_id!r}, a connection of type {conn_type!r}; it takes one of type {taken!r}: are "
        "aws_conn_id and wasb_conn_id swapped?"
    ) in said().replace("\n  ", " ")
