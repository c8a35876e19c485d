"""Which keys a sync is about, and under what names they arrive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import pytest

from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)


def test_globs_times_sizes_and_classes_select(sync: Sync) -> None:
    """Only what fits all of them is part of the sync and of its ledger; the times may be templates."""
    fitting = ["a/1.csv", "b/c/3.csv"]
    sync.put(*fitting, "a/2.csv", "a/1.tmp", "b/c/1")
    sync.put("a/small.csv", body=b"x")
    sync.put("a/large.csv", body=b"x" * 100)
    sync.bucket.put("a/cold.csv", b"x" * 8, StorageClass="GLACIER_IR")

    night = sync.night(
        include=["**.csv"],
        exclude=["a/2*"],
        modified_since="{{ data_interval_start }}",
        modified_before=datetime(2100, 1, 1, tzinfo=UTC),
        min_size=2,
        max_size=99,
        storage_classes=["STANDARD", "STANDARD_IA"],
    )

    assert night.statuses() == dict.fromkeys(fitting, "copied")
    assert sync.blobs().keys() == set(fitting)


def test_globs_and_times_come_from_the_trigger_form(sync: Sync) -> None:
    """Globs as text with one on each line, a time with a lookback, and empty fields that select nothing less."""
    sync.put("a/1.csv", "a/2.csv", "b/3.parquet", "b/4.txt")
    conf = {"include": ["**.csv", "b/*.parquet"], "exclude": "a/2*", "since": SOON.isoformat()}

    night = sync.night(
        conf,
        params={"include": [], "exclude": "", "since": None, "before": None, "classes": []},
        include="{{ params.include | join('\n') }}",
        exclude="{{ params.exclude }}",
        modified_since="{{ params.since }}",
        modified_before="{{ params.before }}",
        lookback=timedelta(days=2),
        storage_classes="{{ params.classes | join('\n') }}",
    )

    assert night.statuses() == {"a/1.csv": "copied", "b/3.parquet": "copied"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            {"params": {"globs": ["**.csv", "**.tmp"]}, "include": "{{ params.globs }}"},
            "a list that a template turned into text; join it: {{ params.include | join('\\n') }}",
            id="list-as-text",
        ),
        pytest.param({"strip_prefix": "x/"}, "strip_prefix 'x/' is not the beginning of s3_prefix", id="strip_prefix"),
        pytest.param(
            {"compare": "{{ 'md5' }}"},
            "compare is 'md5'; it takes 'etag', 'checksum', 'size' or 'always'",
            id="compare",
        ),
        pytest.param({"blob_template": "{bucket}"}, "has the field {bucket}; there are {key}", id="blob_template"),
        pytest.param(
            {"modified_since": SOON, "require_keys": True},
            "no key is selected under 's3://",
            id="require_keys",
        ),
    ],
)
def test_a_plan_that_cannot_be_made_fails_at_once_with_the_cause(
    sync: Sync, logged: Callable[[], str], arguments: dict[str, Any], message: str
) -> None:
    """The plan fails without a retry and names the argument, what it is, and what it takes; nothing is copied."""
    sync.put("a")

    night = sync.night(**{"retries": 5, **arguments})

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    log = logged()
    assert message in log
    assert "task s3_to_azure.plan made no plan, so nothing was copied; see its log" in log
    assert sync.blobs() == {}


@pytest.mark.parametrize("arguments", [{"s3_prefix": "wrong/"}, {"modified_since": SOON}, {}])
def test_no_key_is_a_green_run_with_a_warning(sync: Sync, logged: Callable[[], str], arguments: dict[str, Any]) -> None:
    """A wrong prefix, a filter that leaves nothing, an empty bucket: nothing is copied, and the log warns."""
    if arguments:
        sync.put("a")

    night = sync.night(**arguments)

    assert night.state == "success"
    assert night.states() == {"plan": "success", "copy": "skipped", "report": "success"}
    assert night.totals("objects", "copied", "missing", "verified", "failures") == (0, 0, 0, {}, [])
    prefix = arguments.get("s3_prefix", "")
    assert f"no key is selected under 's3://{sync.bucket.name}/{prefix}': check s3_bucket" in logged()


@pytest.mark.parametrize("kind", ["bucket", "container"])
def test_a_missing_bucket_or_container_is_named(sync: Sync, logged: Callable[[], str], kind: str) -> None:
    """The plan fails at once, although it has retries."""
    name: dict[str, Any] = (
        {"s3_bucket": "no-such-bucket"} if kind == "bucket" else {"container_name": "no-such-container"}
    )

    night = sync.night(retries=5, **name)

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    assert f"there is no {kind} 'no-such-{kind}'" in logged()


def test_names_are_built_from_prefixes(sync: Sync) -> None:
    """blob_prefix replaces strip_prefix, all templated; the container is created."""
    sync.put("exports/2026-01-01/a")
    sync.container.delete_container()

    sync.night(
        create_container=True,
        s3_prefix="exports/{{ ds }}/",
        strip_prefix="{{ 'exports' }}/",
        blob_prefix="landing/{{ ds_nodash }}/",
    )

    assert sync.blobs().keys() == {"landing/20260101/2026-01-01/a"}


def test_a_template_makes_names_of_when_an_object_was_modified(sync: Sync) -> None:
    """With {key} or {name}, and what Airflow renders before."""
    sync.put("in/a.tar.gz", "in/b")
    day = datetime.now(UTC)

    night = sync.night(
        blob_template="{{ params.zone }}/{last_modified:%Y/%m}/{stem}{extension}", params={"zone": "raw"}
    )

    assert night.state == "success"
    assert sync.blobs() == {f"raw/{day:%Y/%m}/a.tar.gz": b"in/a.tar.gz", f"raw/{day:%Y/%m}/b": b"in/b"}


def test_renamed_keys_are_found_again(sync: Sync) -> None:
    """What Azure cannot hold is percent-encoded; unquoting the blob's name gives the key; a second night copies nothing."""
    keys = ["dot.", "seg./x", "up/../x", "./x", "line\nbreak", "back\\slash", "100%", "%2e", "a%2Fb", "fine/é"]
    sync.put(*keys)

    first, second = sync.night(rename=True), sync.night(rename=True)

    assert first.statuses() == dict.fromkeys(keys, "copied")
    assert {unquote(name): body for name, body in sync.blobs().items()} == {key: key.encode() for key in keys}
    assert second.statuses() == dict.fromkeys(keys, "unchanged")


def test_two_keys_for_one_blob_refuse_the_plan(sync: Sync, logged: Callable[[], str]) -> None:
    """Neither is copied, nor is anything else, and both are named."""
    sync.put("a/same", "b/same", "c/other")

    night = sync.night(blob_template="{name}")

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    assert "keys 'a/same' and 'b/same' would both become blob 'same'; nothing was copied" in logged()
    assert sync.blobs() == {}
