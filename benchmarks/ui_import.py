"""What the UI costs those who do not look at it: each task process that loads the plugin, and each copy that tells
its progress.

`python -m benchmarks.ui_import` imports the plugin in fresh processes that have loaded what every task process loads,
and lets threads checksum blocks, which is the work of a copy that holds Python up, with and without a writer of
progress whose every write takes as long as Airflow's slowest. It ends with 1 if a process takes more than 5 ms or
1 MiB for the plugin, or if the threads do more than 2 % less beside the writer, beyond what they differ by anyway.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from awscrt.checksums import crc64nvme

from airflow_s3_azure.live_progress import TELL_SECONDS, LiveProgress

MIB = 1024 * 1024
PROCESSES = 9
ROUNDS = 5
ROUND_SECONDS = 6.0
"""Two writes."""
THREADS = 4
WRITE_SECONDS = 0.030
MOST_MS, MOST_KIB, MOST_SHARE = 5.0, 1024, 0.02

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


class SlowStore:
    """A state store of which each write takes what the slowest took that were measured on a started Airflow."""

    def __init__(self) -> None:
        self.writes = 0

    def set(self, key: str, value: object) -> None:
        """Take a value."""
        del key, value
        time.sleep(WRITE_SECONDS)
        self.writes += 1


def import_plugin() -> Import:
    """Import the plugin in a fresh process that has loaded what a task process loads."""
    done = subprocess.run([sys.executable, "-c", _IN_A_TASK], check=True, capture_output=True, text=True)
    milliseconds, kib = done.stdout.split("\n")[-2].split()
    return Import(float(milliseconds), int(kib))


def checksum_rate(store: SlowStore | None) -> float:
    """Return how many bytes the threads checksum in a second of this process's CPU, beside a copy's progress.

    A second of CPU, since other work on the machine takes from the seconds of the clock.

    :param store: takes the progress; None: there is no writer
    """
    context = {"task_state_store": store} if store else {}
    done = [0] * THREADS
    end, cpu = time.monotonic() + ROUND_SECONDS, time.process_time()

    def work(number: int) -> None:
        block = bytes(8 * MIB)
        while time.monotonic() < end:
            crc64nvme(block)
            done[number] += len(block)

    with LiveProgress(context, objects=1, size=1 << 40) if store else nullcontext() as live, _all(work):
        while time.monotonic() < end:
            time.sleep(TELL_SECONDS / 4)
            if live is not None:
                live.tell(0, sum(done), "exports/2026/11/21/orders.parquet")
    return sum(done) / (time.process_time() - cpu)


@contextmanager
def _all(work: Callable[[int], None]) -> Iterator[None]:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()


def main() -> int:
    """Measure, print, and say whether the bounds hold."""
    imports = [import_plugin() for _ in range(PROCESSES)]
    milliseconds = statistics.median(one.milliseconds for one in imports)
    kib = statistics.median(one.kib for one in imports)
    store = SlowStore()
    pairs = [(checksum_rate(None), checksum_rate(store)) for _ in range(ROUNDS)]
    without, beside = (sorted(rates) for rates in zip(*pairs, strict=True))
    spread = (without[-1] - without[0]) / without[-1]
    less = 1 - statistics.median(beside) / statistics.median(without)
    holds = milliseconds <= MOST_MS and kib <= MOST_KIB and less <= MOST_SHARE + spread
    sys.stdout.write(
        f"the plugin in a task process: {milliseconds:.1f} ms, {kib:,.0f} KiB "
        f"(median of {PROCESSES}; allowed: {MOST_MS:g} ms, {MOST_KIB:,} KiB)\n"
        f"checksums of {THREADS} threads: {statistics.median(without) / MIB:,.0f} MiB in a second of CPU; "
        f"beside a writer of progress: {statistics.median(beside) / MIB:,.0f} MiB, {100 * less:.1f} % less, "
        f"{store.writes} writes (medians of {ROUNDS}; without a writer they differ by {100 * spread:.1f} %)\n"
        f"{'all bounds hold' if holds else 'A BOUND IS BROKEN'}\n"
    )
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
