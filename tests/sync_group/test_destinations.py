"""How a sync stores its blobs: access tiers and encryption scopes."""

from __future__ import annotations

import pytest

from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


def test_the_storage_class_of_an_object_decides_on_the_tier_of_its_blob(sync: Sync) -> None:
    """Small objects and those of several blocks; a class that is not named gets the tier of all others."""
    sync.bucket.put("hot", b"1")
    sync.bucket.put("ia", b"12", StorageClass="STANDARD_IA")
    sync.bucket.put("instant", b"x" * (2 * 1024 * 1024 + 1), StorageClass="GLACIER_IR")

    night = sync.night(
        access_tier={"STANDARD": "Hot", "GLACIER_IR": "Archive", "*": "{{ params.tier }}"}, params={"tier": "Cool"}
    )

    assert night.state == "success"
    tiers = {
        name: sync.container.get_blob_client(name).get_blob_properties().blob_tier for name in ("hot", "ia", "instant")
    }
    assert tiers == {"hot": "Hot", "ia": "Cool", "instant": "Archive"}


def test_blobs_are_written_with_an_encryption_scope(sync: Sync) -> None:
    """Every request that writes names it; Azurite, which has no scopes, ignores it."""
    sync.put("a")

    night = sync.night(encryption_scope="{{ params.scope }}", params={"scope": "tenant-a"})

    assert night.statuses() == {"a": "copied"}
