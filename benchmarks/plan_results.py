"""What the plans of a benchmark took: their bounds, and their table in the documentation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_s3_azure.engine.blocks import MIB

MAX_PEAK = 200 * MIB
"""Bytes of memory over the imports."""
MAX_GROWTH = 1.5
"""Of the CPU time per key, from the smallest plan to the largest."""
BY_BYTES, HIERARCHICAL, UNCHANGED, KEY_LIST = "by bytes", "hierarchical", "unchanged", "key list"
SERIALLY, IN_RANGES = "100ms serial", "100ms ranges"
"""Orders of the plans with a latency."""
_TITLES = {
    BY_BYTES: "half unchanged, a quarter changed, a quarter new",
    UNCHANGED: "all unchanged",
    KEY_LIST: "from a list of keys in no order, without sizes",
    HIERARCHICAL: "both listings in the order of a hierarchy: sorted first",
    SERIALLY: "100 ms for each page, one lister for each listing",
    IN_RANGES: "100 ms for each page, the listers of an operator",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """What a plan took.

    :param peak: bytes of resident memory, over what the imports need
    :param cpu: seconds
    :param seconds: from the first request of the listings to the last commit
    :param pages: requests for pages of both listings; 0: not counted
    """

    keys: int
    order: str
    peak: int
    cpu: float
    seconds: float
    pages: int = 0

    def line(self) -> str:
        """Return the line of the output."""
        return (
            f"{self.keys:>10,}  {self.order:<12}  {self.seconds:>8.1f}  {self.cpu:>8.1f}  {self.keys / self.seconds:>8,.0f}"
            f"  {self.cpu / self.keys * 1e6:>6.1f}  {self.peak / MIB:>8.1f}  {self.pages:>6,}"
        )


def judge(measured: Sequence[Measured]) -> tuple[bool, str]:
    """Return whether the bounds hold, and how far."""
    peak = max(one.peak for one in measured)
    # In CPU seconds, which do not grow because something else is running.
    each = [one.cpu / one.keys for one in measured if one.order == BY_BYTES]
    growth = each[-1] / each[0] if each else 1.0
    holds = peak <= MAX_PEAK and growth <= MAX_GROWTH
    return holds, (
        f"highest peak over the imports: {peak / MIB:.1f} MiB; allowed: {MAX_PEAK / MIB:.0f} MiB\n"
        f"CPU time per key, the last plan in order against the first: {growth:.2f}; allowed: {MAX_GROWTH}\n"
        f"{'both bounds hold' if holds else 'A BOUND IS BROKEN'}"
    )


def sections(measured: Sequence[Measured], notes: Sequence[str]) -> dict[str, str]:
    """Return the tables of the page, by the names of its sections: of the plans without a latency, and of those with one.

    :param notes: on the plans with a latency
    """
    late = [one for one in measured if one.order in (SERIALLY, IN_RANGES)]
    found = {"plans": [one for one in measured if one not in late], "slow-pages": late}
    return {
        name: "\n".join([*_table(plans), "", *(notes if name == "slow-pages" else []), _machine()])
        for name, plans in found.items()
        if plans
    }


def _table(plans: Sequence[Measured]) -> Iterator[str]:
    yield "| plan | keys | CPU µs/key | keys per CPU second | seconds | peak MiB above the imports | pages |"
    yield "|---|---|---|---|---|---|---|"
    for one in plans:
        yield (
            f"| {_TITLES[one.order]} | {one.keys:,} | {one.cpu / one.keys * 1e6:.0f} | {one.keys / one.cpu:,.0f} | {one.seconds:.1f} | "
            f"{one.peak / MIB:.0f} | {one.pages:,} |"
        )


def _machine() -> str:
    return f"Measured {datetime.now(UTC):%Y-%m-%d}; load average at the end {os.getloadavg()[0]:.1f}."
