"""The result of an audit: its totals, its first failures, and their text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_s3_azure.engine.errors import AuditFailed
from airflow_s3_azure.engine.progress import count_text, size_text
from airflow_s3_azure.engine.quoting import MAX_TEXT, printable
from airflow_s3_azure.sync.audit.findings import FINDINGS
from airflow_s3_azure.sync.run_report import MAX_FAILURES

_SHOWN = ("blob", "key", "status", "reason")


@dataclass(slots=True)
class AuditReport:
    """The totals of an audit's ledger.

    :param counts: blobs by status
    :param unrecorded: blobs of which nothing is recorded; they are not audited
    :param read: blobs whose content was read
    :param bytes_read: from Azure
    :param failures: the first rows that are changed or missing
    :param unknowns: the first rows that are unknown
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FINDINGS, 0))
    unrecorded: int = 0
    read: int = 0
    bytes_read: int = 0
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    unknowns: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of the audit's ledger."""
        status = row["status"]
        self.counts[status] += 1
        self.read += row["found_crc64nvme"] is not None
        self.bytes_read += row["bytes_read"]
        shown = {"changed": self.failures, "missing": self.failures, "unknown": self.unknowns}.get(status)
        if shown is not None and len(shown) < MAX_FAILURES:
            shown.append(row)

    @property
    def objects(self) -> int:
        """Audited blobs."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """Blobs that are changed or missing."""
        return self.counts["changed"] + self.counts["missing"]

    def as_json(self) -> dict[str, Any]:
        """Return the totals for XCom and ``audit.json``."""
        return {
            "objects": self.objects,
            **self.counts,
            "unrecorded": self.unrecorded,
            "read": self.read,
            "bytes_read": self.bytes_read,
            "failures": [_shown(row) for row in self.failures],
            "unknowns": [_shown(row) for row in self.unknowns],
        }

    def describe(self) -> str:
        """Return the totals as one line for the log."""
        counts = ", ".join(f"{count:,} {status}" for status, count in self.counts.items())
        read = f"; {count_text(self.read, 'blob')} read back ({size_text(self.bytes_read)})" if self.read else ""
        return (
            f"{count_text(self.objects, 'blob')} audited: {counts}{read}; {self.unrecorded:,} others without a record"
        )

    def raise_failures(self, ledger: str) -> None:
        """Raise if any blob is changed or missing.

        :param ledger: the URL of the audit's ledger
        :raises AuditFailed: with the counts and the first of these blobs
        """
        if not self.failed:
            return
        counts = " and ".join(
            f"{self.counts[status]:,} {status}" for status in ("changed", "missing") if self.counts[status]
        )
        names = ", ".join(repr(row["blob"]) for row in self.failures[:3])
        more = ", …" if self.failed > min(3, len(self.failures)) else ""
        lines = [f"{counts} of {count_text(self.objects, 'blob')}: {names}{more}"]
        lines += [printable(f"  {row['status']}: {row['blob']!r}: {row['reason']}", MAX_TEXT) for row in self.failures]
        if self.failed > len(self.failures):
            lines.append(f"  … and {self.failed - len(self.failures):,} more, in the ledger")
        raise AuditFailed("\n".join([*lines, f"ledger: {ledger}"]))


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _SHOWN} | {"reason": printable(str(row["reason"]), MAX_TEXT)}
