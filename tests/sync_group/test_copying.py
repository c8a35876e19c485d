"""What is copied, night after night."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice

import pytest
from airflow.sdk import task

from tests.conftest import needs_airflow_3_3
from tests.sync_group.nights import MIB, Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

PLAIN = [
    *("a//b", "//x", "/lead", "plus+", "a+b c", "per%25cent", "%", "%2F", "sp ace", " lead", "trail ", "q?&=#x"),
    *("{{ conn.aws_default.password }}", "{% raw %}", "{{ 6 * 7 }}/{{ ds }}", "{# x #}", "${HOME}", "$(id)", "`id`"),
    *("quote'\"", "tilde~(!)*", "<xml>&amp;", "semi;colon", "pipe|", "caret^", "[bracket]", "@:,=", "-", "--x", "..x"),
    *(".hidden", "a/.hidden", "_underscore/x", "x/ /y", "COM1", "con.txt", "A", "a", "UPPER/lower", "upper/LOWER"),
    *("caf\u00e9", "cafe\u0301", "\u00df", "SS", "\u1e9e", "\u0130", "i\u0307", "\u4e2d\u6587/\u6587\u4ef6", "\u0645\u0631\u062d\u0628\u0627"),
    *("emoji 🦆", "🦆/🦆🦆", "👩‍👩‍👧", "\u202eabc", "\u200b", "\ufeffbom", "\u00a0", "\ue000", "\uf8ff/x", "\ufb01", "\ufffd"),
    *("\U00010000", "\U0001d11e/x", "\U0010fffd", "x" * 1000, "y/" * 250 + "y", "\u00e9" * 500, "🦆" * 250),
]  # fmt: skip
REFUSED = {
    "folder/": "folder placeholder",
    "a//": "folder placeholder",
    "dot.": "a blob name cannot end with '.'",
    "full/": "a blob name cannot end with '/'",
    "up/../x": "Azure resolves the path segments '.' and '..' in a blob name",
    "./x": "Azure resolves the path segments '.' and '..' in a blob name",
    "seg./x": "Azure drops the dot at the end of a path segment",
    "line\nbreak": "Azure takes no control characters in a blob name",
    "tab\there": "Azure takes no control characters in a blob name",
    "del\x7f": "Azure takes no control characters in a blob name",
    "back\\slash": "Azure turns a backslash in a blob name into a slash",
    "s/" * 254 + "s": "a blob name has at most 254 path segments; this one has 256",
}
ALPHABET = "ab/A+ %&=?#~'é\u0301\u00e8\u4e2d\ue000\uf8ff\ufb01\uff5e🦆\U00010000\U0001d11e\U0010fffd-_{}"
"""With characters beyond U+FFFF, which UTF-16 puts before those from U+E000 on, and UTF-8 after them."""


PREFIXES = ["a/", "/", "{{ 6 * 7 }}/"]
"""500 keys under each: LocalStack loses keys beyond U+007F on the second page of a listing."""


def _random_names(seed: int) -> Iterator[str]:
    """Yield names that Azure can hold, some of them twice."""
    chance = random.Random(seed)
    while True:
        yield "".join(chance.choices(ALPHABET, k=chance.randint(1, 12))) + chance.choice("xyz")


def test_1500_keys_of_all_odd_names(sync: Sync) -> None:
    """Each arrives under its own name, or is skipped with its reason; a second night reads not a byte."""
    names = list(dict.fromkeys([*REFUSED, *PLAIN, *islice(_random_names(4), 600)]))[:500]
    bodies = {prefix + name: (prefix + name).encode() for prefix in PREFIXES for name in names}
    reasons = {prefix + name: reason for prefix in PREFIXES for name, reason in REFUSED.items()}
    bodies |= {key: b"" for key, reason in reasons.items() if "folder" in reason}
    fine = bodies.keys() - reasons.keys()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sync.bucket.put, bodies, bodies.values()))

    first = sync.night(listed=PREFIXES, batch_objects=250)

    assert first.state == "success"
    arrived = {
        blob.name: bytes(blob.content_settings.content_md5 or b"")
        for blob in sync.container.list_blobs()
        if not blob.name.startswith("_s3_to_azure/")
    }
    assert arrived == {key: hashlib.md5(bodies[key]).digest() for key in fine}
    assert first.statuses() == dict.fromkeys(fine, "copied") | dict.fromkeys(reasons, "skipped")
    assert {key: first.reasons()[key] for key in reasons} == reasons
    assert first.totals("objects", "copied", "skipped", "failed", "missing") == (1500, 1464, 36, 0, 0)
    assert first.report["copied_bytes"] == first.report["bytes_read"] == sum(len(bodies[key]) for key in fine)

    second = sync.night(listed=PREFIXES, batch_objects=250)

    assert second.state == "success"
    assert second.statuses() == dict.fromkeys(fine, "unchanged") | dict.fromkeys(reasons, "skipped")
    assert second.totals("objects", "copied", "unchanged", "bytes_read") == (1500, 0, 1464, 0)
    assert second.states()["copy"] == "skipped"


def test_everything_under_a_prefix_arrives_byte_for_byte(sync: Sync) -> None:
    """Small objects, one of several blocks and an empty one are copied over several batches."""
    bodies = {f"in/{n:02d}.bin": random.Random(n).randbytes(1000 * n) for n in range(20)}
    bodies["in/big"] = random.Random(99).randbytes(3 * MIB + 1)
    for key, body in bodies.items():
        sync.bucket.put(key, body)
    sync.put("elsewhere/a")

    night = sync.night(s3_prefix="in/")

    assert night.state == "success"
    assert sync.blobs() == bodies
    assert night.statuses() == dict.fromkeys(bodies, "copied")
    size = sum(map(len, bodies.values()))
    assert night.totals("objects", "copied", "copied_bytes", "bytes_read") == (21, 21, size, size)
    assert len(night.run.labels("s3_to_azure.copy")) == 6


def test_later_nights_copy_what_changed_and_nothing_else(sync: Sync) -> None:
    """New, changed, and changed at the same size; blobs of another tool are judged by size and time."""
    sync.put(*(f"k{n}" for n in range(4)))
    sync.put("theirs/same", "theirs/other")
    first = sync.night(include=["k*"])
    assert first.totals("copied", "unchanged") == (4, 0)
    sync.container.upload_blob("theirs/same", b"x" * len("theirs/same"))
    sync.container.upload_blob("theirs/other", b"short")
    sync.put("k1", body=b"NO")
    sync.put("k2", body=b"longer than it was")
    sync.put("k4")

    second = sync.night()

    assert second.state == "success"
    assert second.reasons() == {
        "k0": "same ETag and size as recorded on the blob",
        "k1": "the object, or the blob, changed since it was copied",
        "k2": "the object, or the blob, changed since it was copied",
        "k3": "same ETag and size as recorded on the blob",
        "k4": "there is no blob",
        "theirs/other": "another tool's blob, of another size or older than the object",
        "theirs/same": "another tool's blob, of the same size and newer than the object",
    }
    assert {key for key, status in second.statuses().items() if status == "copied"} == {
        "k1",
        "k2",
        "k4",
        "theirs/other",
    }
    assert second.totals("copied", "unchanged", "copied_bytes", "bytes_read") == (4, 3, 34, 34)
    assert sync.blobs() == {
        "k0": b"k0",
        "k1": b"NO",
        "k2": b"longer than it was",
        "k3": b"k3",
        "k4": b"k4",
        "theirs/same": b"x" * 11,
        "theirs/other": b"theirs/other",
    }


def test_compare_decides_what_counts_as_a_copy(sync: Sync) -> None:
    """By size alone, a change of the same size is not seen; "always" copies all; both may come from the trigger form."""
    sync.put("a", "b")
    sync.night()
    sync.put("a", body=b"A")
    templated = {"params": {"compare": "etag"}, "compare": "{{ params.compare }}"}

    by_size = sync.night({"compare": "size"}, **templated)
    always = sync.night({"compare": "always"}, **templated)

    assert by_size.totals("copied", "unchanged") == (0, 2)
    assert by_size.reasons()["a"] == "the same size"
    assert always.totals("copied", "unchanged") == (2, 0)
    assert always.reasons()["b"] == "compare is 'always'"
    assert sync.blobs() == {"a": b"A", "b": b"b"}


def test_overwrite_off_never_touches_a_blob(sync: Sync) -> None:
    """Neither one of ours nor another tool's; what is missing is copied."""
    sync.put("ours", "theirs", "new")
    sync.container.upload_blob("theirs", b"not a copy")
    sync.night(include=["ours"])
    sync.put("ours", body=b"OURS")
    before = {name: sync.container.get_blob_client(name).get_blob_properties().etag for name in ("ours", "theirs")}

    night = sync.night({"overwrite": False}, params={"overwrite": True}, overwrite="{{ params.overwrite }}")

    assert night.state == "success"
    assert night.statuses() == {"ours": "skipped", "theirs": "skipped", "new": "copied"}
    assert night.reasons()["ours"] == "the object, or the blob, changed since it was copied, but overwrite is off"
    assert sync.blobs() == {"ours": b"ours", "theirs": b"not a copy", "new": b"new"}
    assert before == {name: sync.container.get_blob_client(name).get_blob_properties().etag for name in before}


def test_a_failed_batch_is_cleared_and_copies_only_what_is_not_done(sync: Sync, logged: Callable[[], str]) -> None:
    """A leased blob fails its key and its batch, and no other; released and cleared, that key alone is read."""
    keys = [f"k{n}" for n in range(10)]
    sync.put(*keys)
    sync.container.upload_blob("k7", b"older")
    lease = sync.container.get_blob_client("k7").acquire_lease()

    night = sync.night()

    assert night.state == "failed"
    assert {name for name, state in night.states().items() if state == "failed"} == {"copy[2]", "report"}
    assert night.statuses() == dict.fromkeys(keys, "copied") | {"k7": "failed"}
    assert night.totals("copied", "failed", "missing") == (9, 1, 0)
    (failure,) = night.report["failures"]
    assert (failure["key"], failure["blob"], failure["batch"]) == ("k7", "k7", 2)
    assert night.totals("incomplete_batches", "missing_keys") == ([2], [])
    batch = night.run.xcom("s3_to_azure.copy", map_index=2)
    assert (batch["copied"], batch["failed"], batch["failures"][0]["key"]) == (2, 1, "k7")
    log = logged()
    assert "1 of 10 keys could not be copied" in log
    assert "the blob is leased; break or release the lease" in log
    etags = {key: sync.container.get_blob_client(key).get_blob_properties().etag for key in keys if key != "k7"}
    lease.release()

    again = sync.clear(night)

    assert again.state == "success"
    assert set(again.states().values()) == {"success"}
    assert again.statuses() == dict.fromkeys(keys, "copied")
    assert {row["key"] for row in again.ledger if row["attempts"] == 2} == {"k7"}
    assert again.totals("copied", "failed", "missing", "bytes_read") == (10, 0, 0, 20)
    assert again.totals("incomplete_batches", "missing_keys") == ([], [])
    assert 0 < again.report["copy_seconds"] < again.report["seconds"]
    assert {key: sync.container.get_blob_client(key).get_blob_properties().etag for key in etags} == etags


@needs_airflow_3_3
def test_a_source_that_changes_after_the_plan_is_copied_by_the_next_try(
    sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch fails rather than mix two versions, and its retry copies the version that there is by then."""
    monkeypatch.setattr("airflow_s3_azure.task_retries.SOON", timedelta(0))
    sync.put("a", "b")
    dag = sync.dag(retries=1, retry_delay=timedelta(hours=1))
    with dag:

        @task
        def change() -> None:
            sync.put("a", body=b"of another size")

        dag.get_task("s3_to_azure.plan") >> change() >> dag.get_task("s3_to_azure.copy")

    night = sync.carry_out(dag)

    assert night.state == "success"
    assert {row["key"]: row["attempts"] for row in night.ledger} == {"a": 2, "b": 1}
    assert sync.blobs() == {"a": b"of another size", "b": b"b"}
