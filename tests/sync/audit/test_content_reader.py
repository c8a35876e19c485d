"""Deep audits: blobs in Azurite are read back, and only what is in them counts."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from azure.storage.blob import StandardBlobTier

from airflow_s3_azure.engine.errors import Cancelled, DestinationWriteError, SliceEnded
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.audit.auditor import AuditOptions
from airflow_s3_azure.sync.audit.sampling import Sampling
from tests.sync.audit.audited_container import AuditedContainer, crc64

pytestmark = pytest.mark.servers

DEEP = AuditOptions(sampling=Sampling())
RECORDS = AuditOptions(compare_with="records", sampling=Sampling())


def test_a_flipped_bit_is_found_in_100_of_100_blobs(audited: AuditedContainer) -> None:
    """Size, metadata and record are those of the copy, so only reading finds it; the others are intact."""
    chance = random.Random(11)
    bodies = {f"{number:03}": chance.randbytes(chance.randrange(1, 5000)) for number in range(120)}
    for name, body in bodies.items():
        audited.put(name, body)
    flipped = set(chance.sample(sorted(bodies), 100))
    for name in flipped:
        audited.flip(name)

    shallow = audited.statuses(audited.audit(AuditOptions(compare_with="records")))
    audit = audited.audit(RECORDS)

    rows = audited.rows(audit)
    assert set(shallow.values()) == {"intact"}
    assert {name for name, row in rows.items() if row["status"] == "changed"} == flipped
    assert {row["status"] for name, row in rows.items() if name not in flipped} == {"intact"}
    assert {row["reason"] for name, row in rows.items() if name in flipped} == {"its content has another CRC-64"}
    assert all(row["expected_crc64nvme"] == crc64(bodies[name]) for name, row in rows.items())
    assert audit.report.read == 120
    assert audit.report.bytes_read == sum(map(len, bodies.values()))


def test_ranges_cover_each_blob_once(audited: AuditedContainer) -> None:
    """Whatever its size; an empty one has none."""
    sizes = {"a": 0, "b": 1, "c": 1024, "d": 1025, "e": 5000}
    audited.sync(*(audited.put(name, random.randbytes(size)) for name, size in sizes.items()))

    audit = audited.audit(DEEP)

    assert audited.statuses(audit) == dict.fromkeys(sizes, "intact")
    assert sorted(audited.ranges) == [
        ("b", "bytes=0-0"),
        ("c", "bytes=0-1023"),
        ("d", "bytes=0-1023"),
        ("d", "bytes=1024-1024"),
        *(("e", f"bytes={start}-{min(start + 1024, 5000) - 1}") for start in range(0, 5000, 1024)),
    ]
    assert audit.report.bytes_read == sum(sizes.values())


def test_the_ledgers_crc_counts_before_the_records(audited: AuditedContainer) -> None:
    """A record can be forged together with the content; then the ledger's row differs from it."""
    row = audited.put("a", b"content")
    forged = audited.put("a", b"forgery")
    audited.sync({**_row(row), "blob_etag": forged.blob_etag, "etag": forged.etag})

    (found,) = audited.rows(audited.audit(DEEP)).values()

    assert (found["status"], found["reason"]) == ("changed", "its record names another CRC-64")


def test_without_a_crc_a_blob_is_unknown_and_not_read(audited: AuditedContainer) -> None:
    """As of a copy by an earlier version."""
    audited.sync(audited.put("a", b"1", has_crc64=False))

    (row,) = audited.rows(audited.audit(DEEP)).values()

    assert (row["status"], row["compared"]) == ("unknown", "listing")
    assert row["reason"] == "no CRC-64 is recorded: an earlier version, or another tool, wrote the blob"
    assert audited.ranges == []


def test_an_archived_blob_is_unknown(audited: AuditedContainer) -> None:
    """It cannot be read, and is not at fault; a shallow audit sees that it exists."""
    audited.sync(audited.put("a", b"1"), audited.put("b", b"2"))
    audited.client.get_blob_client("a").set_standard_blob_tier(StandardBlobTier.ARCHIVE)

    audit = audited.audit(DEEP)

    rows = audited.rows(audit)
    assert {name: row["status"] for name, row in rows.items()} == {"a": "unknown", "b": "intact"}
    assert "the blob is in the archive tier" in rows["a"]["reason"]
    assert audit.report.failed == 0
    assert audited.statuses(audited.audit(AuditOptions())) == {"a": "intact", "b": "intact"}


def test_a_blob_that_is_written_while_it_is_read_is_changed(audited: AuditedContainer) -> None:
    """Each range is pinned to the version that was listed."""
    audited.sync(audited.put("a", b"1" * 5000), audited.put("b", b"2"), audited.put("c", b"3"))

    def interfere(blob: str) -> None:
        if blob == "a" and not audited.ranges:
            audited.before_read = lambda _: None
            audited.put("a", b"2" * 5000)
            audited.client.delete_blob("c")

    audited.before_read = interfere
    rows = audited.rows(audited.audit(DEEP, threads=1))

    assert {name: (row["status"], row["reason"]) for name, row in rows.items()} == {
        "a": ("changed", "it was written again while the audit ran"),
        "b": ("intact", None),
        "c": ("missing", "it was deleted while the audit ran"),
    }


def test_a_sample_reads_a_share_and_lists_all(audited: AuditedContainer) -> None:
    """What is missing is found outside of the sample, too."""
    names = [f"{number:03}" for number in range(50)]
    audited.sync(*(audited.put(name, name.encode()) for name in names), audited.put("gone", b"1"))
    audited.client.delete_blob("gone")
    sampling = Sampling.of_share(0.2, "seed")

    audit = audited.audit(AuditOptions(sampling=sampling))

    chosen = {name for name in names if name in sampling}
    assert 2 <= len(chosen) <= 20
    assert {blob for blob, _ in audited.ranges} == chosen
    rows = audited.rows(audit)
    assert {name for name, row in rows.items() if row["compared"] == "content"} == chosen
    assert rows.pop("gone")["status"] == "missing"
    assert {row["status"] for row in rows.values()} == {"intact"}


def test_an_audit_that_was_stopped_continues_in_the_middle_of_a_blob(audited: AuditedContainer) -> None:
    """In slices of one range each byte is read once, and the result is that of a whole audit."""
    names = {"a": 3000, "b": 1, "c": 2500}
    audited.sync(*(audited.put(name, random.randbytes(size)) for name, size in names.items()))
    slices = 0
    while True:
        audit = audited.begin(DEEP, threads=1)
        try:
            audit.run(slice_seconds=0.0)
            break
        except SliceEnded:
            slices += 1

    assert slices == 7
    assert audited.statuses(audit) == dict.fromkeys(names, "intact")
    assert audit.report.bytes_read == sum(names.values())


def test_a_blob_that_changed_between_two_slices_is_not_continued(audited: AuditedContainer) -> None:
    """Its first ranges are of another version."""
    body = random.randbytes(3000)
    audited.put("a", body)
    with pytest.raises(SliceEnded):
        audited.begin(RECORDS, threads=1).run(slice_seconds=0.0)
    audited.put("a", body)
    audited.ranges.clear()

    audit = audited.audit(RECORDS)

    assert audited.statuses(audit) == {"a": "intact"}
    assert len(audited.ranges) == 3


def test_a_request_that_fails_is_sent_again(audited: AuditedContainer) -> None:
    """Within the attempts of a range."""
    audited.sync(audited.put("a", b"1"))
    failures = iter([DestinationWriteError("busy", transient=True)])

    def fail(_: str) -> None:
        for error in failures:
            raise error

    audited.before_read = fail

    assert audited.statuses(audited.audit(DEEP)) == {"a": "intact"}


def test_a_blob_that_cannot_be_read_now_fails_the_try_and_not_the_blob(audited: AuditedContainer) -> None:
    """A retry continues: what was read before is in the ledger."""
    audited.sync(*(audited.put(name, name.encode()) for name in "abc"))

    def fail(blob: str) -> None:
        if blob == "b":
            raise DestinationWriteError("Azure could not be reached", transient=True)

    audited.before_read = fail
    with pytest.raises(DestinationWriteError, match="Azure could not be reached"):
        audited.begin(DEEP, retry=RetryPolicy(attempts=1)).run()
    assert audited.checkpoints.last is not None
    assert audited.checkpoints.last.rows == 1

    audited.before_read = lambda blob: None
    assert audited.statuses(audited.audit(DEEP)) == dict.fromkeys("abc", "intact")


def test_an_audit_that_failed_in_the_middle_of_a_blob_continues_there(audited: AuditedContainer) -> None:
    """Also if the next execution fails before it reads a range: a large blob takes days, and outages come more often."""
    audited.sync(audited.put("a", random.randbytes(5000)))
    failed = DestinationWriteError("Azure could not be reached", transient=True)

    def fail(_: str) -> None:
        if len(audited.ranges) >= 3:
            raise failed

    audited.before_read = fail
    for _ in range(2):
        with pytest.raises(DestinationWriteError, match="Azure could not be reached"):
            audited.begin(DEEP, threads=1, retry=RetryPolicy(attempts=1)).run()
    audited.before_read = lambda blob: None

    assert audited.statuses(audited.audit(DEEP, threads=1)) == {"a": "intact"}
    assert [found for _, found in audited.ranges] == [
        f"bytes={start}-{min(start + 1024, 5000) - 1}" for start in range(0, 5000, 1024)
    ]


def test_a_cancelled_audit_ends_at_once(audited: AuditedContainer) -> None:
    """Its threads too, and its checkpoint holds what was read."""
    audited.sync(*(audited.put(name, name.encode() * 5000) for name in "abc"))

    def kill(blob: str) -> None:
        if blob == "b":
            audited.cancellation.set("the task was killed")

    audited.before_read = kill
    with pytest.raises(Cancelled, match="the task was killed"):
        audited.begin(DEEP, threads=1).run()

    assert audited.checkpoints.last is not None
    assert audited.checkpoints.last.rows >= 1
    for thread in threading.enumerate():
        if thread.name.startswith("s3-to-azure-audit"):
            thread.join(30)
            assert not thread.is_alive()


def test_reads_obey_the_bandwidth(audited: AuditedContainer) -> None:
    """All threads together."""
    spent: list[int] = []

    class Recorded:
        def spend(self, size: int) -> None:
            spent.append(size)

    audited.sync(*(audited.put(name, name.encode() * 5000) for name in "ab"))
    audited.audit(DEEP, bandwidth=Recorded())

    assert sum(spent) == 10_000


def _row(result: Any) -> dict[str, Any]:
    from airflow_s3_azure.sync.rows import ledger_row

    return ledger_row(result)
