"""What no copy can overwrite, as Azure describes it."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.conflicts import CONFLICTS, Conflict, conflict_of


@pytest.mark.parametrize(
    ("blob_type", "tier", "conflict"),
    [
        ("BlockBlob", "Hot", None),
        ("BlockBlob", "Cold", None),
        ("BlockBlob", "", None),
        ("", "", None),
        ("BlockBlob", "Archive", "archived"),
        ("AppendBlob", "", "append_blob"),
        ("PageBlob", "P10", "page_blob"),
        ("NewKindOfBlob", "Hot", None),
    ],
)
def test_a_blob_is_in_conflict_by_its_type_or_its_tier(blob_type: str, tier: str, conflict: Conflict | None) -> None:
    """A type that is not known may be overwritten: Azure decides."""
    assert conflict_of(blob_type, tier) == conflict


def test_each_conflict_has_a_remedy() -> None:
    """As the plan's log and the errors name it."""
    assert CONFLICTS["directory"].what == "a directory has the blob's name (the account has a hierarchical namespace)"
    assert {str(meaning) for meaning in CONFLICTS.values()} == {
        "the blob is in the archive tier, where it cannot be overwritten; rehydrate or delete it, or copy to another name",
        "there is an append blob of this name; delete it, or copy to another name",
        "there is a page blob of this name; delete it, or copy to another name",
        str(CONFLICTS["directory"]),
    }
