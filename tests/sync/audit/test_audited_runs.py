"""Which ledger an argument names."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.errors import ConfigurationError, UntrustedFile
from airflow_s3_azure.sync.audit.audited_runs import SyncRun, find_runs, ledger_prefix
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
        find_runs(audited.client, "_s3_to_azure/", "newest")


@pytest.mark.servers
def test_a_summary_cannot_name_the_ledger_of_another_run(audited: AuditedContainer) -> None:
    """Else an old ledger, that lacks what was lost since, would be the truth."""
    audited.sync(audited.put("a", b"1"), run_id="1")
    audited.sync(audited.put("b", b"1"), run_id="2", ledger=f"{audited.client.url}/_s3_to_azure/nightly/1/s3_to_azure/")

    with pytest.raises(UntrustedFile, match="which is not in the folder of its run"):
        audited.audit()
