"""The report of a run: its whole ledger, added up and compared with its plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_s3_azure.engine.errors import UntrustedFile
from airflow_s3_azure.engine.progress import duration_text, size_text
from airflow_s3_azure.engine.quoting import MAX_TEXT, get_logger, printable, printable_error

log = get_logger(__name__)

MAX_FAILURES = 10
"""How many failed keys a report names; the ledger has them all."""


@dataclass(slots=True)
class Report:
    """The totals of one or more plans.

    :param planned: keys that must be in the ledger
    :param counts: keys by status
    :param archived: skipped keys whose object is archived
    :param deletions: blobs to delete by result: ``deleted``, ``kept``, ``failed``
    :param copied_size: bytes of the copied objects
    :param bytes_read: bytes read from S3 by the executions that finished the objects, the repeated ones included
    :param verified: copied objects by what verified them
    :param failures: the first failed rows of the ledger
    :param skips: the first rows of skipped keys
    :param done: confirmed rows that did not fail, by the map index of their batch
    :param unconfirmed: parts of the ledger without a fingerprint in XCom, so anyone may have written them
    """

    planned: int
    counts: dict[str, int] = field(default_factory=lambda: {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 0})
    archived: int = 0
    deletions: dict[str, int] = field(default_factory=lambda: {"deleted": 0, "kept": 0, "failed": 0})
    copied_size: int = 0
    bytes_read: int = 0
    verified: dict[str, int] = field(default_factory=dict)
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    skips: list[Mapping[str, Any]] = field(default_factory=list)
    done: Counter[int] = field(default_factory=Counter)
    unconfirmed: list[str] = field(default_factory=list)

    def add_unconfirmed(self, part: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of a batch that ended without a summary: they are counted, but the report is not good.

        :param part: the name of the batch's part of the ledger
        """
        self.unconfirmed.append(part)
        done = self.done.copy()
        try:
            self.add(rows)
        except UntrustedFile as error:
            log.warning("%s", error)
        self.done = done

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add rows of the ledger."""
        for row in rows:
            self.bytes_read += row["bytes_read"]
            if row["status"] == "failed" and len(self.failures) < MAX_FAILURES:
                self.failures.append(row)
            if row["key"] is None:
                self.deletions[row["status"]] += 1
                continue
            self.counts[row["status"]] += 1
            if row["batch"] is not None and row["status"] != "failed":
                self.done[row["batch"]] += 1
            if row["status"] == "copied":
                self.copied_size += row["size"]
                self.verified[row["verified"]] = self.verified.get(row["verified"], 0) + 1
            elif row["status"] == "skipped":
                self.archived += row.get("archived", False)  # rows of earlier versions have no such column
                if len(self.skips) < MAX_FAILURES:
                    self.skips.append(row)

    @property
    def missing(self) -> int:
        """Planned keys that are not in the ledger: their batch did not finish. Negative if some are there twice."""
        return self.planned - sum(self.counts.values())

    @property
    def is_good(self) -> bool:
        """Whether every key is in the ledger once, and nothing failed."""
        return not (self.counts["failed"] or self.deletions["failed"] or self.missing or self.unconfirmed)

    def as_json(self) -> dict[str, Any]:
        """Return the totals for XCom and ``summary.json``."""
        return {
            "objects": self.planned,
            **self.counts,
            "archived": self.archived,
            "deleted": self.deletions["deleted"],
            "missing": self.missing,
            "copied_bytes": self.copied_size,
            "bytes_read": self.bytes_read,
            "verified": dict(sorted(self.verified.items())),
            "failures": [
                {name: row[name] for name in ("key", "blob", "error", "batch")}
                | {"error": printable_error(str(row["error"]), MAX_TEXT)}
                for row in self.failures
            ],
            "skips": [{"key": row["key"], "reason": printable(str(row["reason"]), MAX_TEXT)} for row in self.skips],
        }

    def table(self, seconds: float | None = None) -> str:
        """Return the totals as a table for the log.

        :param seconds: duration of the run so far
        """
        rows = [(status, f"{count:,}") for status, count in self.counts.items()]
        if self.archived:
            rows.insert(3, ("of these archived", f"{self.archived:,}"))
        rows += [(f"blobs {status}", f"{count:,}") for status, count in self.deletions.items() if count]
        if self.missing:
            rows.append(("not in the ledger", f"{self.missing:,}"))
        rows.append(("planned", f"{self.planned:,}"))
        rows.append(("bytes copied", size_text(self.copied_size)))
        rows.append(("bytes read", size_text(self.bytes_read)))
        rows += [(f"verified by {by}", f"{count:,}") for by, count in sorted(self.verified.items())]
        if seconds is not None:
            rows.append(("time", duration_text(seconds)))
        wide = max(len(name) for name, _ in rows)
        lines = [f"  {name:<{wide}}  {value:>12}" for name, value in rows]
        lines += [printable(f"  skipped: {row['key']!r}: {row['reason']}") for row in self.skips]
        if self.counts["skipped"] > len(self.skips):
            lines.append(f"  … and {self.counts['skipped'] - len(self.skips):,} more skipped, in the ledger")
        return "\n".join(lines)

    def verdict(self) -> str:
        """Describe what failed, with the first failed keys. Only if the report is not good."""
        lines = []
        if self.counts["failed"]:
            lines.append(f"{self.counts['failed']:,} of {self.planned:,} keys could not be copied:")
        if self.deletions["failed"]:
            lines.append(f"{self.deletions['failed']:,} blobs could not be deleted:")
        lines += [f"  {printable_error(str(row['error']), MAX_TEXT)}" for row in self.failures]
        failed = self.counts["failed"] + self.deletions["failed"]
        if failed > len(self.failures):
            lines.append(f"  … and {failed - len(self.failures):,} more, in the ledger")
        if self.missing > 0:
            lines.append(
                f"{self.missing:,} of {self.planned:,} keys are not in the ledger: their batches did not finish; "
                "clear the failed copy tasks to copy them"
            )
        elif self.missing < 0:
            lines.append(f"{-self.missing:,} keys are in the ledger more than once")
        if self.unconfirmed:
            parts = ", ".join(self.unconfirmed[:MAX_FAILURES]) + (" …" if len(self.unconfirmed) > MAX_FAILURES else "")
            lines.append(
                f"{len(self.unconfirmed):,} batches ended without a summary, so their parts of the ledger are not "
                f"confirmed ({parts}); clear their copy tasks"
            )
        return "\n".join(lines)
