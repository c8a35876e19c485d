"""What a sync does with keys whose blob's name holds what no copy can overwrite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from azure.storage.blob import StandardBlobTier

from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


def archive(sync: Sync, *names: str) -> None:
    """Move blobs to the archive tier."""
    for name in names:
        sync.container.get_blob_client(name).set_standard_blob_tier(StandardBlobTier.ARCHIVE)


def test_conflicts_are_named_in_the_plan_and_fail_by_name(sync: Sync, logged: Callable[[], str]) -> None:
    """The night is red and says why; everything else is copied, and an unchanged archived blob is no conflict."""
    sync.put("changed", "same")
    sync.night()
    archive(sync, "changed", "same")
    sync.put("changed", body=b"new")
    sync.put("fine")

    night = sync.night()

    assert night.state == "failed"
    assert night.statuses() == {"changed": "failed", "fine": "copied", "same": "unchanged"}
    assert night.plans[0]["conflicts"] == {"archived": {"objects": 1, "keys": ["changed"]}}
    assert night.totals("conflicts") == ({"archived": 1},)
    log = logged()
    assert (
        "1 of the keys to copy conflict at the destination ('changed'): the blob is in the archive tier, where it cannot be "
        "overwritten; rehydrate or delete it, or copy to another name"
    ) in log
    errors = {row["key"]: row["error"] for row in night.ledger if row["error"]}
    assert errors.keys() == {"changed"}
    assert "the blob is in the archive tier" in errors["changed"]


def test_a_dry_run_names_conflicts(sync: Sync) -> None:
    """Before anything is copied."""
    sync.put("page")
    sync.container.get_blob_client("page").create_page_blob(512)

    night = sync.night(dry_run=True)

    assert (night.state, night.totals("conflicts")) == ("success", ({"page_blob": 1},))
