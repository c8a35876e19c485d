"""The report: a plan's whole ledger, added up and held against the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_s3_azure.stream.progress import size_text

MAX_FAILURES = 10
"""How many failed keys a report names; the ledger has them all."""


@dataclass(slots=True)
class Report:
    """What became of a plan.

    :param planned: keys that must be in the ledger
    :param counts: keys by status
    :param copied_size: bytes of the copied objects
    :param bytes_read: bytes read from S3 by the executions that finished the objects, the repeated ones included
    :param verified: copied objects by what verified them
    :param failures: the first failed rows of the ledger
    """

    planned: int
    counts: dict[str, int] = field(default_factory=lambda: {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 0})
    copied_size: int = 0
    bytes_read: int = 0
    verified: dict[str, int] = field(default_factory=dict)
    failures: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of the ledger."""
        for row in rows:
            self.counts[row["status"]] += 1
            self.bytes_read += row["bytes_read"]
            if row["status"] == "copied":
                self.copied_size += row["size"]
                self.verified[row["verified"]] = self.verified.get(row["verified"], 0) + 1
            elif row["status"] == "failed" and len(self.failures) < MAX_FAILURES:
                self.failures.append(row)

    @property
    def missing(self) -> int:
        """Planned keys that are not in the ledger: their batch did not run to its end. Negative if some are twice."""
        return self.planned - sum(self.counts.values())

    @property
    def is_good(self) -> bool:
        """Whether every key is accounted for and none failed."""
        return not self.counts["failed"] and not self.missing

    def as_json(self) -> dict[str, Any]:
        """Return the totals for XCom and ``summary.json``."""
        return {
            "objects": self.planned,
            **self.counts,
            "missing": self.missing,
            "copied_bytes": self.copied_size,
            "bytes_read": self.bytes_read,
            "verified": dict(sorted(self.verified.items())),
            "failures": [{name: row[name] for name in ("key", "blob", "error")} for row in self.failures],
        }

    def table(self) -> str:
        """Return the totals as a table for the log."""
        rows = [(status, f"{count:,}") for status, count in self.counts.items()]
        if self.missing:
            rows.append(("not in the ledger", f"{self.missing:,}"))
        rows.append(("planned", f"{self.planned:,}"))
        rows.append(("bytes copied", size_text(self.copied_size)))
        rows.append(("bytes read", size_text(self.bytes_read)))
        rows += [(f"verified by {by}", f"{count:,}") for by, count in sorted(self.verified.items())]
        wide = max(len(name) for name, _ in rows)
        return "\n".join(f"  {name:<{wide}}  {value:>12}" for name, value in rows)

    def verdict(self) -> str:
        """Say in words what went wrong, naming the first failed keys. Only if it is not good."""
        lines = []
        if self.counts["failed"]:
            lines.append(f"{self.counts['failed']:,} of {self.planned:,} keys could not be copied:")
            lines += [f"  {row['error']}" for row in self.failures]
            if self.counts["failed"] > len(self.failures):
                lines.append(f"  … and {self.counts['failed'] - len(self.failures):,} more, in the ledger")
        if self.missing > 0:
            lines.append(
                f"{self.missing:,} of {self.planned:,} keys are not in the ledger: their batches did not end; "
                "clear the failed copy tasks to copy them"
            )
        elif self.missing < 0:
            lines.append(f"{-self.missing:,} keys are in the ledger more than once")
        return "\n".join(lines)
