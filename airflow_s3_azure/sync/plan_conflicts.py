"""The conflicts that a plan finds: objects to copy whose blob's name holds what no copy can overwrite. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from airflow_s3_azure.engine.conflicts import CONFLICTS, Conflict

MAX_KEYS = 5
"""Keys that a plan names of each conflict; the manifest has them all."""


@dataclass(slots=True)
class PlanConflicts:
    """How many objects there are of each conflict, and their first keys."""

    counts: dict[Conflict, int] = field(default_factory=dict)
    keys: dict[Conflict, list[str]] = field(default_factory=dict)

    def add(self, conflict: Conflict, key: str) -> None:
        """Count an object."""
        self.counts[conflict] = self.counts.get(conflict, 0) + 1
        keys = self.keys.setdefault(conflict, [])
        if len(keys) < MAX_KEYS:
            keys.append(key)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the conflicts for XCom: the number of objects and the first keys of each that occurs."""
        return {name: {"objects": count, "keys": self.keys[name]} for name, count in self.counts.items()}


def conflict_texts(conflicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each conflict of a plan, which is given as XCom holds it."""
    texts = []
    for name, found in conflicts.items():
        keys = found["keys"]
        named = ", ".join(map(repr, keys)) + ", …" * (found["objects"] > len(keys))
        conflict = cast("Conflict", name)
        texts.append(
            f"{found['objects']:,} of the keys to copy conflict at the destination ({named}): {CONFLICTS[conflict]}"
        )
    return texts


def total_conflicts(plans: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many objects there are of each conflict in several plans, whose totals are given as XCom holds them."""
    totals: dict[str, int] = {}
    for plan in plans:
        for name, found in plan.get("conflicts", {}).items():  # a plan of an earlier version has none
            totals[name] = totals.get(name, 0) + found["objects"]
    return totals
