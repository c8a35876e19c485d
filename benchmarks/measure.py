"""The cost of a piece of work to this process: CPU, time, additional memory, bytes written to disk."""

from __future__ import annotations

import gc
import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BLOCK = 512
"""Bytes in one of the blocks in which the kernel counts a process's disk writes."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took.

    :param cpu: seconds, user and system, of all threads
    :param seconds: on the clock
    :param memory: bytes of resident memory at the peak, above what was resident before
    :param written: bytes that went to disk
    """

    cpu: float
    seconds: float
    memory: int
    written: int


def measure(function: Callable[[], object]) -> Cost:
    """Return the cost of a function to this process. Linux only."""
    gc.collect()
    reset_peak()
    before, used, started = memory("VmRSS"), resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    function()
    seconds, now = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    return Cost(
        cpu=cpu_seconds(now) - cpu_seconds(used),
        seconds=seconds,
        memory=memory("VmHWM") - before,
        written=(now.ru_oublock - used.ru_oublock) * BLOCK,
    )


def cpu_seconds(used: resource.struct_rusage) -> float:
    """Return the CPU time in a resource usage, user and system, in seconds."""
    return used.ru_utime + used.ru_stime


def memory(name: str) -> int:
    """Return a value of /proc/self/status in bytes."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def reset_peak() -> None:
    """Reset VmHWM to what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")
