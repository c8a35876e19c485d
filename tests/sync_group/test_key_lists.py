"""Syncs from lists of keys: texts, the output of a task, CSV and JSON lines in S3 and in Azure."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.keys import key_listings
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.sync.keys.inventories import FOLDER, MANIFEST, csv_file, manifest, row
from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


@pytest.fixture(params=[False, True], ids=["short", "long"])
def _length(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is kept in memory, and one whose length is not known."""
    if request.param:
        monkeypatch.setattr(key_listings, "SHORT_LIST", 1)


@pytest.mark.usefixtures("_length")
def test_a_list_of_keys_is_copied_and_each_is_in_the_ledger(sync: Sync) -> None:
    """In any order; a second run finds them unchanged; what is not in the list stays where it is."""
    sync.put("b/2", "a/1", "c/3", "not/listed")
    keys: list[Any] = ["c/3", {"key": "a/1"}, "b/2", "gone"]

    first = sync.night(keys=keys, blob_prefix="in/")

    assert first.state == "success"
    assert first.statuses() == {"a/1": "copied", "b/2": "copied", "c/3": "copied", "gone": "skipped"}
    assert first.reasons()["gone"] == "the bucket has no such key"
    assert sync.blobs() == {"in/a/1": b"a/1", "in/b/2": b"b/2", "in/c/3": b"c/3"}
    assert first.totals("objects", "copied", "skipped", "missing") == (4, 3, 1, 0)

    second = sync.night(keys=keys, blob_prefix="in/")

    assert second.totals("copied", "unchanged", "skipped", "bytes_read") == (0, 3, 1, 0)


def test_the_output_of_a_task_is_a_list_that_is_not_rendered(sync: Sync) -> None:
    """It may hold what others named; sizes and ETags of the list are compared without a request to S3."""
    sync.put("{{ 6 * 7 }}", "42")
    etag = sync.bucket.client.head_object(Bucket=sync.bucket.name, Key="{{ 6 * 7 }}")["ETag"]
    entries = [{"key": "{{ 6 * 7 }}", "version": None, "size": 11, "etag": etag}]

    night = sync.night(key_list=entries)

    assert night.statuses() == {"{{ 6 * 7 }}": "copied"}
    assert sync.night(key_list=entries).statuses() == {"{{ 6 * 7 }}": "unchanged"}
    assert sync.blobs() == {"{{ 6 * 7 }}": b"{{ 6 * 7 }}"}


def test_an_empty_list_copies_nothing(sync: Sync) -> None:
    """It is not taken for a missing one, which would copy the bucket."""
    sync.put("a")

    night = sync.night(key_list=[])

    assert night.state == "success"
    assert night.totals("objects", "copied") == (0, 0)
    assert sync.blobs() == {}


def test_a_task_that_returns_no_list_fails_the_plan(sync: Sync, logged: Callable[[], str]) -> None:
    """As one does whose branch returns nothing."""
    sync.put("a")

    night = sync.night(keys="{{ none }}")

    assert night.states()["plan"] == "failed"
    assert "keys is the text 'None'" in logged()
    assert sync.blobs() == {}


@pytest.mark.parametrize("where", ["source", "destination"])
@pytest.mark.parametrize("name", ["list.csv", "list.csv.gz", "list.jsonl", "list.ndjson.gz"])
def test_a_file_of_keys_is_read_from_s3_and_from_azure(sync: Sync, where: str, name: str) -> None:
    """Plain and compressed; keys with commas and quotes."""
    sync.put("x", 'a,"b"', "z")
    text = (
        'key,size\r\nz,1\r\n"a,""b""",\r\n'
        if ".csv" in name
        else "".join(json.dumps(one) + "\n" for one in ({"key": "z", "size": 1}, 'a,"b"'))
    )
    data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    if where == "source":
        sync.bucket.put(f"lists/{name}", data)
        url = f"s3://{sync.bucket.name}/lists/{{{{ '{name}' }}}}"
    else:
        sync.container.upload_blob(f"lists/{name}", data)
        url = f"{sync.container.url}/lists/{name}"

    night = sync.night(keys=url)

    assert night.statuses() == {"z": "copied", 'a,"b"': "copied"}
    assert night.report["copied_bytes"] == 6


def test_text_has_one_key_on_each_line(sync: Sync) -> None:
    """As a field of a form has them."""
    sync.put("a 1", "b", "c")

    keys = "{{ params.s3_keys | join('\n') }}"  # params.keys is a method of params

    night = sync.night({"s3_keys": ["a 1", "b"]}, params={"s3_keys": []}, keys=keys)

    assert night.statuses() == {"a 1": "copied", "b": "copied"}


@pytest.mark.usefixtures("_length")
def test_a_version_of_a_list_is_copied(sync: Sync) -> None:
    """Not the current one; one that does not exist is skipped."""
    client, name = sync.bucket.client, sync.bucket.name
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    versions = [client.put_object(Bucket=name, Key="a", Body=body)["VersionId"] for body in (b"old", b"new")]
    gone = client.put_object(Bucket=name, Key="b", Body=b"b")["VersionId"]
    client.delete_object(Bucket=name, Key="b", VersionId=gone)

    night = sync.night(keys=[{"key": "a", "version": versions[0]}, {"key": "b", "version": gone}])

    assert night.statuses() == {"a": "copied", "b": "skipped"}
    assert night.reasons()["b"] == "the bucket has no such version of the key"
    assert {row["key"]: row["version_id"] for row in night.ledger} == {"a": versions[0], "b": gone}
    assert sync.blobs() == {"a": b"old"}


@pytest.mark.usefixtures("_length")
def test_prefix_and_filters_select_from_a_list(sync: Sync) -> None:
    """A key that is left out is not looked up and not in the ledger; one that is gone is reported."""
    sync.put("in/a.csv", "in/b.txt", "out/c.csv")
    sync.put("in/large.csv", body=b"x" * 100)

    night = sync.night(
        keys=["in/a.csv", "in/b.txt", "out/c.csv", "in/large.csv", "in/gone.csv", "in/gone.txt"],
        s3_prefix="in/",
        include=["**.csv"],
        max_size=50,
    )

    assert night.statuses() == {"in/a.csv": "copied", "in/gone.csv": "skipped"}


@pytest.mark.usefixtures("_length")
def test_names_by_time_take_the_time_of_the_object(sync: Sync) -> None:
    """Also with an order of the names that is not that of the keys; a key that is gone needs none."""
    sync.put("a/z", "b/a")

    night = sync.night(keys=["a/z", "gone", "b/a"], blob_template="{name}-{last_modified:%Y}")

    assert night.statuses() == {"a/z": "copied", "b/a": "copied", "gone": "skipped"}
    assert [name[:2] for name in sync.blobs()] == ["a-", "z-"]


def put_inventory(sync: Sync, *rows: list[str], **changes: Any) -> str:
    """Put an inventory into the bucket that it lists, and return the URL of its manifest."""
    name, data = sync.bucket.name, csv_file(rows)
    key = f"{FOLDER}/data/1.csv.gz"
    sync.bucket.put(key, data)
    sync.bucket.put(MANIFEST, json.dumps(manifest(name, name, {key: data}, **changes)).encode())
    return f"s3://{name}/{MANIFEST}"


def test_an_inventory_is_copied_and_the_report_states_its_age(sync: Sync, logged: Callable[[], str]) -> None:
    """What is in it and no longer in the bucket is skipped; what has changed since is copied as it is now."""
    sync.put("a b", "changed", "not/listed")
    name = sync.bucket.name
    etag = sync.bucket.client.head_object(Bucket=name, Key="a b")["ETag"].strip('"')
    rows = [row(name, "gone", 4, "e"), row(name, "changed", 9, "e"), row(name, "a b", 3, etag)]

    night = sync.night(keys=put_inventory(sync, *rows), blob_prefix="in/")

    assert night.state == "success"
    assert night.statuses() == {"a b": "copied", "changed": "copied", "gone": "skipped"}
    assert sync.blobs() == {"in/a b": b"a b", "in/changed": b"changed"}
    url = f"s3://{name}/{MANIFEST}"
    assert night.report["key_list"] == {"url": url, "created_at": "2026-11-22T01:00:00+00:00"}
    # A message may reach more than one of the captured outputs: plan logs the age and once the list, report the age.
    log = logged()
    assert log.count("copying the keys of ") >= 1
    assert log.count(f"the inventory {url} is of 2026-11-22T01:00:00+00:00, ") == 2 * log.count("copying the keys of ")


def test_an_inventory_whose_file_is_another_fails_the_plan(sync: Sync, logged: Callable[[], str]) -> None:
    """By its MD5: nothing is copied, though its rows were good."""
    sync.put("a", "b")
    url = put_inventory(sync, row(sync.bucket.name, "a", 1, "e"))
    sync.bucket.put(f"{FOLDER}/data/1.csv.gz", csv_file([row(sync.bucket.name, "b", 1, "e")]))

    night = sync.night(keys=url)

    assert night.states()["plan"] == "failed"
    assert "is not the one that its manifest names" in logged()
    assert sync.blobs() == {}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("key,size\na,1\nb,x\n", "line 3 of the key list {url!r} is not valid: the size is 'x'; it takes a number of"),
        ("name\na\n", "line 1 of the key list {url!r} is not valid: it is 'name'; the first line of CSV names the"),
    ],
)
def test_a_bad_line_fails_the_plan(sync: Sync, logged: Callable[[], str], body: str, message: str) -> None:
    """With file, line and what is expected; nothing is copied."""
    sync.put("a", "b")
    sync.bucket.put("list.csv", body.encode())
    url = f"s3://{sync.bucket.name}/list.csv"

    night = sync.night(keys=url)

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    assert message.format(url=url) in logged().replace("\n  ", " ")
    assert sync.blobs() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delete": "extra"}, "keys and delete='extra' are both given"),
        ({"s3_prefix": ["a/", "b/"]}, "keys and several prefixes are both given"),
        ({"keys": ["a", {"size": 1}]}, "entry 1 of keys is not valid: it has no key"),
        ({"keys": None}, "keys is None; it takes a list of keys, or the URL of one"),
    ],
)
def test_arguments_that_a_list_excludes_are_refused_when_the_dag_is_parsed(
    arguments: dict[str, Any], message: str
) -> None:
    """Before any run."""
    with pytest.raises(ConfigurationError, match=message):
        s3_to_azure_sync(**{"s3_bucket": "bucket", "container_name": "container", "keys": ["a"], **arguments})
