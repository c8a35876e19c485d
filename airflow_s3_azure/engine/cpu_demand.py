"""How much CPU this process asks for: what its threads use, and what they wait for."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

THREADS = "/proc/self/task"
"""Where Linux lists the threads of this process."""


def cpu_demand() -> float:
    """Return the CPU seconds that this process used, plus the seconds that its threads waited for a core.

    Where other processes use the cores, CPU time alone is as low as that of a process that waits for the network.
    Reading it takes some 20 µs for each thread. A thread that has ended no longer counts, so the sum may fall.
    """
    return time.process_time() + core_wait()


def core_wait(threads: str = THREADS) -> float:
    """Return the seconds that threads were ready to run and had no core; 0 where the kernel does not count them.

    That is the second field of ``schedstat``, in nanoseconds.
    https://docs.kernel.org/scheduler/sched-stats.html
    """
    total = 0
    with suppress(OSError):
        for thread in Path(threads).iterdir():
            with suppress(OSError, IndexError, ValueError):
                total += int((thread / "schedstat").read_bytes().split()[1])
    return total / 1e9
