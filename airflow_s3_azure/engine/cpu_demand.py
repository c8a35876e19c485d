"""How much CPU this process asks for: what its threads use, and what they wait for."""

from __future__ import annotations

import os
import time
from contextlib import suppress

THREADS = "/proc/self/task"
"""Where Linux lists the threads of this process."""


def cpu_demand() -> float:
    """Return the CPU seconds that this process used, plus the seconds that its threads waited for a core.

    Where other processes use the cores, CPU time alone is as low as that of a process that waits for the network.
    Reading it takes some 15 µs for each thread. A thread that has ended no longer counts, so the sum may fall.
    """
    return time.process_time() + core_wait()


def core_wait(threads: str = THREADS) -> float:
    """Return the seconds that threads were ready to run and had no core; 0 where the kernel does not count them.

    That is the second field of ``schedstat``, in nanoseconds.
    https://docs.kernel.org/scheduler/sched-stats.html
    """
    total = 0
    with suppress(OSError):
        for thread in os.listdir(threads):  # noqa: PTH208 - Path takes twice as long, twenty times a second
            with suppress(OSError, IndexError, ValueError):
                total += int(_read(f"{threads}/{thread}/schedstat").split()[1])
    return total / 1e9


def _read(path: str) -> bytes:
    """Return a short file, without the cost of a file object."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 256)
    finally:
        os.close(descriptor)
