"""Blobs that another tool copied, in a sync that compares by checksum."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from azure.storage.blob import ContentSettings

from airflow_s3_azure.engine import adoption
from airflow_s3_azure.engine.checksums import compute, s3_text
from airflow_s3_azure.engine.errors import ConfigurationError
from tests.sync_group.nights import MIB, Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


def _bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _upload(sync: Sync, name: str, body: bytes) -> dict[str, Any]:
    """Upload a blob as a script does; return its properties."""
    settings = ContentSettings(content_type="text/x-log", cache_control="no-cache")
    blob = sync.container.upload_blob(
        name, body, metadata={"SourceSystem": "erp", "mtime": "1"}, content_settings=settings
    )
    return dict(blob.get_blob_properties())


def test_equal_blobs_are_adopted_and_different_ones_are_copied(sync: Sync, logged: Callable[[], str]) -> None:
    """Nothing of an equal one changes but its record; the next sync compares by ETag and finds all unchanged."""
    bodies = {
        "small": b"hello",
        "empty": b"",
        "large": _bytes(9 * MIB + 3),
        "flipped": _bytes(MIB + 5),
        "longer": b"12345",
    }
    for key, body in bodies.items():
        sync.bucket.put(key, body, ChecksumAlgorithm="CRC32C")
    sync.bucket.put("hashed", b"by its ETag", ChecksumAlgorithm="SHA256")
    bodies["hashed"] = b"by its ETag"
    theirs = {name: _upload(sync, name, bodies[name]) for name in ("small", "empty", "large", "hashed")}
    flipped = bytearray(bodies["flipped"])
    flipped[-1] ^= 1
    _upload(sync, "flipped", bytes(flipped))
    _upload(sync, "longer", b"123456")

    dry = sync.night(compare="checksum", dry_run=True)
    printed = logged()
    night = sync.night(compare="checksum")

    size = sum(len(bodies[name]) for name in (*theirs, "flipped"))
    (plan,) = dry.plans
    cost = {name: plan["cost"][name] for name in ("objects", "bytes", "read_back_objects", "read_back_bytes")}
    assert cost == {"objects": 1, "bytes": 5, "read_back_objects": 5, "read_back_bytes": size}
    assert "5 blobs of other tools (10.0 MiB) are read back from Azure, and copied if they differ" in printed
    assert dry.report["cost"]["read_back_objects"] == 5

    assert night.state == "success"
    assert night.statuses() == {**dict.fromkeys(theirs, "unchanged"), "flipped": "copied", "longer": "copied"}
    by_crc = "adopted: another tool's blob, whose content has the crc32c that S3 stored"
    by_md5 = "adopted: another tool's blob, whose content has the MD5 that the object's ETag is"
    assert night.reasons() == {
        **dict.fromkeys(("small", "empty", "large"), by_crc),
        "hashed": by_md5,
        "flipped": adoption.OTHER_CONTENT,
        "longer": "another tool's blob, of another size",
    }
    rows = {row["key"]: row for row in night.ledger}
    for name, before in theirs.items():
        after = dict(sync.container.get_blob_client(name).get_blob_properties())
        crc64nvme = s3_text("CRC64NVME", compute("CRC64NVME", memoryview(bodies[name])))
        assert after["metadata"]["s3_source_crc64nvme"] == rows[name]["crc64nvme"] == crc64nvme
        ours = {key for key in after["metadata"] if key.startswith("s3_source_")}
        assert {key: after["metadata"][key] for key in after["metadata"].keys() - ours} == before["metadata"]
        for kept in ("content_settings", "size", "blob_type", "creation_time"):
            assert after[kept] == before[kept]
        assert rows[name]["blob_etag"].strip('"') == after["etag"].strip('"') != before["etag"].strip('"')
    for name, body in bodies.items():
        assert sync.container.download_blob(name).readall() == body

    assert set(sync.night().statuses().values()) == {"unchanged"}


def test_blobs_to_read_back_count_for_the_budget(sync: Sync) -> None:
    """All of them may have to be copied."""
    sync.put("a", "b")
    for name in ("a", "b"):
        _upload(sync, name, b"x" * 5)
    errors: dict[str, BaseException] = {}

    night = sync.night(compare="checksum", max_objects=1, errors=errors)

    several = sync.night(s3_prefix=["a", "b"], compare="checksum", max_objects=1, errors=errors)

    assert (night.state, several.state) == ("failed", "failed")
    assert "2 objects" in str(errors["plan"])
    assert "2 objects" in str(errors["batches"])


def test_a_deferred_copy_reads_nothing_back(sync: Sync) -> None:
    """No byte may pass through a triggerer. The DAG says so when it is parsed."""
    with pytest.raises(ConfigurationError, match="compare='checksum' reads blobs back, which a triggerer must not do"):
        sync.dag(compare="checksum", mode="server_side", deferrable=True)


def test_a_deferred_copy_whose_comparison_is_a_template_reads_nothing_back(sync: Sync) -> None:
    """What the parser cannot know, the trigger refuses, before it reads a byte."""
    sync.bucket.put("a", b"x" * 5)
    before = _upload(sync, "a", b"x" * 5)
    errors: dict[str, BaseException] = {}

    night = sync.night(
        params={"by": "checksum"}, compare="{{ params.by }}", mode="server_side", deferrable=True, errors=errors
    )

    assert night.state == "failed"
    assert "compare='checksum' reads blobs back, which a triggerer must not do" in str(errors["copy"])
    assert sync.container.get_blob_client("a").get_blob_properties().etag == before["etag"]
