"""Which ledger an argument names."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import ConfigurationError, UntrustedFile
from airflow_s3_azure.sync.audit.audited_runs import SyncRun, find_runs, ledger_prefix
from airflow_s3_azure.sync.audit.auditor import AuditOptions
from airflow_s3_azure.sync.json_blob import read_json_blob
from tests.sync.audit.audited_container import AuditedContainer

RUN = "nightly/scheduled__2026-11-26T00:00:00+00:00"
PLAN = "20261126T000000Z-0123456789abcdef"
URL = f"https://account.blob.core.windows.net/landing/_s3_to_azure/{RUN}/s3_to_azure"


@pytest.mark.parametrize(
    ("ledger", "prefix"),
    [
        ("", ""),
        (" ", ""),
        ("_s3_to_azure", ""),
        ("_s3_to_azure/", ""),
        ("nightly", "nightly/"),
        ("nightly/", "nightly/"),
        (RUN, f"{RUN}/"),
        (f"_s3_to_azure/{RUN}/s3_to_azure", f"{RUN}/s3_to_azure/"),
        (f"{URL}/{PLAN}/ledger/", f"{RUN}/s3_to_azure/{PLAN}/"),
        (f"{URL}/{PLAN}/ledger/00000.jsonl", f"{RUN}/s3_to_azure/{PLAN}/"),
        (f"{URL}/{PLAN}/ledger/00000.jsonl.gz", f"{RUN}/s3_to_azure/{PLAN}/"),
        (f"{URL}/{PLAN}/summary.json", f"{RUN}/s3_to_azure/{PLAN}/"),
        (f"{URL}/", f"{RUN}/s3_to_azure/"),
        (f"{URL}/{PLAN}/ledger/".replace(":00", "%3A00"), f"{RUN}/s3_to_azure/{PLAN}/"),
    ],
)
def test_a_ledger_is_named_by_dag_by_run_or_by_url(ledger: str, prefix: str) -> None:
    """As users know it."""
    assert ledger_prefix(ledger) == f"_s3_to_azure/{prefix}"


def test_a_url_of_something_else_is_refused() -> None:
    """With what the argument takes."""
    with pytest.raises(ConfigurationError, match=r"has no _s3_to_azure/ in it;\s+it takes the ID of a DAG"):
        ledger_prefix("https://account.blob.core.windows.net/landing/data/")


@pytest.mark.parametrize(
    ("name", "run"),
    [
        (f"_s3_to_azure/a/b/c/{PLAN}/summary.json", ("a", "b", "c", PLAN)),
        (f"_s3_to_azure/a/b/b/c.d/{PLAN}-00002/summary.json", ("a", "b/b", "c.d", f"{PLAN}-00002")),
        (f"_s3_to_azure/a/b/c/{PLAN}/audit.json", None),
        ("_s3_to_azure/a/b/c/plan/summary.json", None),
        (f"data/a/b/c/{PLAN}/summary.json", None),
    ],
)
def test_a_run_is_known_by_its_summary(name: str, run: tuple[str, ...] | None) -> None:
    """An audit has none, so it is not a sync that could be audited."""
    found = SyncRun.of_name(name)

    assert run == (None if found is None else (found.dag_id, found.run_id, found.group_id, found.plan))


@pytest.mark.servers
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "it is no JSON document"),
        (b"\xff", "it is no JSON document"),
        (b"[" * 100_000, "it is no JSON document"),
        (b"[]", "it is a list, not an object"),
        (b"x" * 70, "it has more than 64 bytes"),
    ],
)
def test_a_summary_that_no_sync_wrote_is_refused(
    audited: AuditedContainer, monkeypatch: pytest.MonkeyPatch, content: bytes, problem: str
) -> None:
    """The container is untrusted."""
    if len(content) == 70:
        monkeypatch.setattr("airflow_s3_azure.sync.json_blob.MAX_DOCUMENT", 64)
    name = f"_s3_to_azure/a/b/c/{PLAN}/summary.json"
    audited.client.upload_blob(name, content)

    with pytest.raises(UntrustedFile, match=problem):
        read_json_blob(audited.client, name)
    with pytest.raises(UntrustedFile, match=problem):
        find_runs(audited.client, audited.unrecorded, "_s3_to_azure/", "newest")


@pytest.mark.servers
def test_a_summary_cannot_name_the_ledger_of_another_run(audited: AuditedContainer) -> None:
    """Else an old ledger, that lacks what was lost since, would be the truth."""
    audited.sync(audited.put("a", b"1"), run_id="1")
    other = f"{audited.client.url}/_s3_to_azure/nightly/1/s3_to_azure/"
    audited.sync(audited.put("b", b"1"), run_id="2", ledger=other, files=None, files_digest=None)

    with pytest.raises(UntrustedFile, match="which is not in the folder of its run"):
        audited.audit()


def _forge(audited: AuditedContainer, name: str) -> None:
    """Let a ledger say that what is in the container now is what was copied."""
    etag = audited.client.get_blob_client("a").get_blob_properties().etag
    stored = gzip.decompress(audited.client.download_blob(name).readall())
    rows = [json.loads(line) | {"blob_etag": etag} for line in stored.splitlines()]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    audited.client.upload_blob(name, gzip.compress(lines.encode()), overwrite=True)


@pytest.mark.servers
def test_a_forged_ledger_is_detected(audited: AuditedContainer) -> None:
    """By its digest in the summary: nothing is compared with it."""
    folder = audited.sync(audited.put("a", b"1"))
    audited.flip("a")
    _forge(audited, folder.part_name("plan"))

    with pytest.raises(UntrustedFile, match=r"^the ledger was changed after the run: it does not hold the 1 lines"):
        audited.audit()


@pytest.mark.servers
def test_a_part_of_the_ledger_that_is_gone_is_detected(audited: AuditedContainer) -> None:
    """Else its blobs would not be missed."""
    folder = audited.sync(audited.put("a", b"1"), audited.put("b", b"1"))
    audited.client.delete_blob(folder.part_name("00000"))

    with pytest.raises(UntrustedFile, match="a file of the ledger is gone"):
        audited.audit()


@pytest.mark.servers
def test_a_forged_ledger_with_a_forged_summary_is_detected_by_the_reported_digest(audited: AuditedContainer) -> None:
    """Which is in XCom, where no writer of the container can change it."""
    folder = audited.sync(audited.put("a", b"1"), run_id="1")
    digest = audited.digests["1"]
    audited.reported["1"] = digest
    assert audited.audit().truth.as_json()["runs"][0]["is_confirmed"]
    audited.checkpoints.clear()
    forged = audited.sync(audited.put("a", b"2"), run_id="2")
    document = audited.client.download_blob(f"{forged.path}/summary.json").readall()
    names = document.replace(forged.path.encode(), folder.path.encode())
    audited.client.upload_blob(f"{folder.path}/summary.json", names, overwrite=True)
    run = AuditOptions(ledger="nightly/1")

    for options in (run, replace(run, files_digest=digest)):
        with pytest.raises(UntrustedFile, match=rf"but the report of the run returned\s+{digest}"):
            audited.begin(options)
        audited.reported.clear()


@pytest.mark.servers
def test_a_list_of_files_that_is_not_that_of_its_digest_is_refused(audited: AuditedContainer) -> None:
    """A file was left out of it."""
    audited.sync(audited.put("a", b"1"), files=[])

    with pytest.raises(UntrustedFile, match="but it says itself"):
        audited.begin()


@pytest.mark.servers
@pytest.mark.parametrize(
    "files",
    [{}, [1], [{"name": "data/x", "rows": 1, "sha256": "ab" * 32}], [{"name": 1}], [{"rows": 1, "sha256": "x"}]],
)
def test_a_list_of_files_that_no_sync_wrote_is_refused(audited: AuditedContainer, files: Any) -> None:
    """It could name the ledger of another run, or any other blob."""
    audited.sync(audited.put("a", b"1"), files=files)

    with pytest.raises(UntrustedFile, match="its list of files cannot be one that was written"):
        audited.begin()


@pytest.mark.servers
def test_a_digest_is_that_of_one_run(audited: AuditedContainer) -> None:
    """Of several it could be any."""
    for run in ("1", "2"):
        audited.sync(audited.put("a", b"1"), run_id=run)

    with pytest.raises(
        ConfigurationError, match="files_digest is that of one run, but the ledgers of 2 runs are compared"
    ):
        audited.begin(AuditOptions(runs="all", files_digest="ab" * 32))


@pytest.mark.servers
def test_a_ledger_of_an_earlier_version_is_read_without_digests(audited: AuditedContainer) -> None:
    """Its summary lists no files."""
    audited.sync(audited.put("a", b"1"), audited.put("b", b"1"), files=None, files_digest=None)

    audit = audited.audit()

    assert audited.statuses(audit) == {"a": "intact", "b": "intact"}
    assert audit.truth.as_json()["runs"][0]["files_digest"] is None


@pytest.mark.servers
def test_the_reported_digest_is_that_of_the_newest_plan_of_a_run(audited: AuditedContainer) -> None:
    """A run that was cleared has two plans, and its XCom the report on the second."""
    audited.sync(audited.put("a", b"1"), run_id="1")
    audited.sync(audited.put("b", b"1"), run_id="1")
    audited.reported["1"] = audited.digests["1"]

    audit = audited.audit(AuditOptions(runs="all"))

    assert audited.statuses(audit) == {"a": "intact", "b": "intact"}
    assert [run["is_confirmed"] for run in audit.truth.as_json()["runs"]] == [True, False]
    audited.checkpoints.clear()
    audited.reported["1"] = "ab" * 32
    with pytest.raises(UntrustedFile, match="but the report of the run returned"):
        audited.audit(AuditOptions(runs="all"))


@pytest.mark.servers
@pytest.mark.parametrize(
    "ids", [{"dag_id": "ledger"}, {"run_id": "ledger"}, {"run_id": "a/ledger/b"}, {"group_id": "ledger"}]
)
@pytest.mark.parametrize("changes", [{}, {"files": None, "files_digest": None}])
def test_a_dag_a_run_or_a_group_may_be_named_ledger(
    audited: AuditedContainer, ids: dict[str, Any], changes: dict[str, Any]
) -> None:
    """The manifest below it is no part of the ledger."""
    audited.sync(audited.put("a", b"1"), audited.put("b", b"1"), **ids, **changes)

    assert audited.statuses(audited.audit()) == {"a": "intact", "b": "intact"}
