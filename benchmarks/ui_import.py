"""What the UI costs tasks: each task process that loads the plugin, and each copy that reports its progress.

`python -m benchmarks.ui_import` imports the plugin in fresh processes that have loaded what every task process loads,
and measures the CPU that a copy's process spends on reporting and writing its progress, at the rate of a real copy. It ends with 1 if a process takes more than 5 ms or 1 MiB for the plugin, or a copy more than a thousandth of a
core for its progress. Seconds are of CPU: wall time depends on other work on the machine. The request with which
Airflow sends a write to its API server is not included: the store is a fake.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from airflow_s3_azure.live_progress import UPDATE_SECONDS, WRITE_SECONDS, LiveProgress

PROCESSES = 9
UPDATES = 100_000
WRITES = 200
MOST_MS, MOST_KIB, MOST_SHARE = 5.0, 1024, 0.001

_IN_A_TASK = """
import gc, re, time
import airflow.sdk.execution_time.task_runner, airflow.sdk.plugins_manager
def resident(): return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1])
gc.collect()
before, began = resident(), time.perf_counter()
import airflow_s3_azure.ui
print((time.perf_counter() - began) * 1000, resident() - before)
"""


@dataclass(frozen=True, slots=True)
class Import:
    """What the plugin costs one process.

    :param milliseconds: to import it
    :param kib: of resident memory
    """

    milliseconds: float
    kib: int


class Store:
    """A state store that counts."""

    def __init__(self) -> None:
        self.writes = 0
        self.is_enough = threading.Event()

    def set(self, key: str, value: object) -> None:
        """Count a write."""
        del key, value
        self.writes += 1
        if self.writes >= WRITES:
            self.is_enough.set()


def import_plugin() -> Import:
    """Import the plugin in a fresh process that has loaded what a task process loads."""
    done = subprocess.run([sys.executable, "-c", _IN_A_TASK], check=True, capture_output=True, text=True)
    milliseconds, kib = done.stdout.split("\n")[-2].split()
    return Import(float(milliseconds), int(kib))


def update_seconds() -> float:
    """Return the seconds of CPU that one update takes."""
    live = LiveProgress({}, objects=1, size=1 << 40)
    began = time.process_time()
    for size in range(UPDATES):
        live.update(0, size, "exports/2026/11/21/orders.parquet")
    return (time.process_time() - began) / UPDATES


def write_seconds(updating: float) -> float:
    """Return the seconds of CPU that a write takes this process, its thread's waking included.

    :param updating: seconds of CPU of one update
    """
    store = Store()
    began, updates = time.process_time(), 0
    with LiveProgress({"task_state_store": store}, objects=1, size=1 << 40, seconds=0.005) as live:
        while not store.is_enough.wait(0.005):
            live.update(0, updates, "exports/2026/11/21/orders.parquet")
            updates += 1
    return (time.process_time() - began - updates * updating) / store.writes


def main() -> int:
    """Measure and print; return 1 if a bound does not hold."""
    imports = [import_plugin() for _ in range(PROCESSES)]
    milliseconds = statistics.median(one.milliseconds for one in imports)
    kib = statistics.median(one.kib for one in imports)
    updating = update_seconds()
    writing = write_seconds(updating)
    share = updating / UPDATE_SECONDS + writing / WRITE_SECONDS
    holds = milliseconds <= MOST_MS and kib <= MOST_KIB and share <= MOST_SHARE
    sys.stdout.write(
        f"the plugin in a task process: {milliseconds:.1f} ms, {kib:,.0f} KiB "
        f"(median of {PROCESSES}; allowed: {MOST_MS:g} ms, {MOST_KIB:,} KiB)\n"
        f"the progress of a copy: {updating * 1e6:.1f} us to update every {UPDATE_SECONDS:g} s, {writing * 1e6:.0f} us to "
        f"write every {WRITE_SECONDS:g} s: {share:.5%} of a core (allowed: {MOST_SHARE:.1%})\n"
        f"{'all bounds hold' if holds else 'A BOUND IS BROKEN'}\n"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
