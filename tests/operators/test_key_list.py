"""The argument ``keys``: what it takes, and how its list is opened."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_s3_azure.connections import key_files
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError, PlanError
from airflow_s3_azure.operators.key_list import age_text, check_key_list, key_list, open_key_list
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.stored_files import S3File
from tests.fakes.memory import FakeS3, stored
from tests.sync.keys.inventories import CREATED, FOLDER, MANIFEST, MemoryFile, csv_file, manifest, row

if TYPE_CHECKING:
    from airflow_s3_azure.operators.key_list import KeyList


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        (" \n", ""),
        ("s3://b/keys.csv", "s3://b/keys.csv"),
        (" https://acme/c/k.jsonl\n", "https://acme/c/k.jsonl"),
        ("a b\n\n c \n", [KeyEntry("a b"), KeyEntry("c")]),
        ("a\u2028b\x85c\x1cd\r\ne", [KeyEntry("a\u2028b\x85c\x1cd"), KeyEntry("e")]),
        ([], []),
        (["a", "s3://b/c"], [KeyEntry("a"), KeyEntry("s3://b/c")]),
        ((one for one in ("a", {"key": "b", "size": 1})), [KeyEntry("a"), KeyEntry("b", size=1)]),
    ],
)
def test_keys_are_a_url_or_entries(value: Any, expected: Any) -> None:
    """In a list a URL is a key, because keys may look like one."""
    assert key_list("keys", value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "keys is None; it takes a list of keys, or the URL of one"),
        ("None", "keys is the text 'None'; it takes one URL, or one key on each line"),
        ("['a', 'b']", "a list in a template is joined: {{ params.s3_keys | join('\\n') }}"),
        ("s3://b/a.csv\ns3://b/b.csv", "it takes one URL, or one key on each line"),
        ({"key": "a"}, "it takes a list of keys"),
        (5, "keys is 5; it takes a list of keys"),
        (["a", {"key": ""}], "entry 1 of keys is not valid: the key is ''"),
    ],
)
def test_other_values_are_refused(value: Any, message: str) -> None:
    """With the entry that is not valid."""
    with pytest.raises(ConfigurationError) as error:
        key_list("keys", value)

    assert message in str(error.value).replace("\n  ", " ")


def test_no_list_excludes_nothing() -> None:
    """The empty text of a form is no list; a list that is empty is one."""
    check_key_list("", delete="extra", has_several_prefixes=True)
    with pytest.raises(ConfigurationError, match="keys and delete='extra' are both given"):
        check_key_list([], delete="extra")


def opened(monkeypatch: pytest.MonkeyPatch, keys: Any, objects: dict[str, bytes]) -> KeyList:
    """Open a list; a URL is that of an object of bucket ``bucket`` with these objects."""
    source = FakeS3({key: stored(data) for key, data in objects.items()})

    def open_key_file(url: str, *_: object) -> Any:
        return S3File(cast("Any", source), url.removeprefix("s3://bucket/")) if url.startswith("s3:") else blob

    blob = MemoryFile(MANIFEST, b"")
    monkeypatch.setattr(key_files, "open_key_file", open_key_file)
    endpoints: Any = Endpoints("acme-exports", "container")
    bucket: Any = type("Bucket", (), {"name": "acme-exports"})()
    return open_key_list(keys, endpoints, bucket, cast("Any", None), Cancellation())


def test_a_value_is_read_again_for_each_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no URL and no age."""
    found = opened(monkeypatch, [KeyEntry("a")], {})

    assert [list(found.entries()), list(found.entries())] == [[KeyEntry("a")]] * 2
    assert found.as_json() == {"url": None, "created_at": None}
    assert age_text(found.as_json(), CREATED) is None
    assert age_text(None, CREATED) is None


def test_a_file_is_read_by_its_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for each pass."""
    found = opened(monkeypatch, "s3://bucket/l.csv", {"l.csv": b"key\na\n"})

    assert [list(found.entries()), list(found.entries())] == [[KeyEntry("a")]] * 2
    assert found.as_json() == {"url": "s3://bucket/l.csv", "created_at": None}


def test_a_manifest_is_that_of_an_inventory(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its age in words."""
    key, data = f"{FOLDER}/data/1.csv.gz", csv_file([row("acme-exports", "a", 5, "e")])
    content = json.dumps(manifest("acme-exports", "bucket", {key: data})).encode()

    found = opened(monkeypatch, f"s3://bucket/{MANIFEST}", {MANIFEST: content, key: data})

    assert [one.key for one in found.entries()] == ["a"]
    assert age_text(found.as_json(), datetime(2026, 11, 23, 4, 12, 9, tzinfo=UTC)) == (
        f"the inventory s3://bucket/{MANIFEST} is of 2026-11-22T01:00:00+00:00, 1 day, 3:12:09 before the plan: objects that "
        "were written since are not in it"
    )


def test_a_bad_manifest_and_one_in_azure_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything else is read."""
    with pytest.raises(PlanError, match="it is no JSON document"):
        opened(monkeypatch, f"s3://bucket/{MANIFEST}", {MANIFEST: b"x"})
    with pytest.raises(ConfigurationError, match="an inventory is read from the bucket in which S3 writes it"):
        opened(monkeypatch, f"https://acme/c/{MANIFEST}", {})
