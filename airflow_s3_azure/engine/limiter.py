"""Adaptive concurrency: is this process network-bound or CPU-bound?

Behind long round trips, many threads hide the latency, and blocks can be read while others are written to Azure. Where
round trips are as short as the work between them, more threads only contend for the GIL, and more buffers evict each
other from the processor's caches. The share of CPU time that the process asks for distinguishes the two. What its
threads wait for a core counts (:mod:`~airflow_s3_azure.engine.cpu_demand`): several processes on few cores use little each,
and none of them waits for the network.

Theory of operation: both limits are controlled by the CPU demand of one sampling interval. Between the two thresholds they
stay. Below the lower one they are multiplied by target ÷ load, because the load grows about in proportion to what is in
flight; so the first step comes near the target, and a limit grows by at least 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_s3_azure.engine.cpu_demand import cpu_demand

_CPU_BOUND = 0.85
_NETWORK_BOUND = 0.5
_TARGET = 0.7
"""Shares of one core: the limit shrinks above the first, and grows below the second towards the third."""
_MIN_SHARE = 0.02
"""The smallest share that an estimate divides by."""
_LEAST = 2
"""Both limits at first, and the least number of small objects: one is read while another is written."""
_BLOCK_WAITS = 0.25
_BLOCK_TARGET = 0.35
"""Shares of one core for each block in flight: the limit grows below the first, towards the second."""
_SAMPLE_SECONDS = 0.05
"""The shortest sampling interval. Over less than that, a single slow response decides."""


class Limiter:
    """Two limits that follow the CPU demand of this process.

    ``small_objects`` limits the small objects that are copied at once. They are mostly Python, of which one thread runs
    at a time, so the limit shrinks while a core is busy, down to two.

    ``blocks`` limits the blocks in flight. They are mostly kernel work on any core, so the limit grows as long as each
    block waits. It never shrinks.

    Both limits are at least 1, so work never stalls on them.

    :param max_small_objects: upper bound of ``small_objects``
    :param clock: seconds, monotonic
    :param cpu: CPU seconds that this process asked for
    :param is_adaptive: False: no limit depends on the load
    """

    def __init__(
        self,
        max_small_objects: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = cpu_demand,
        *,
        is_adaptive: bool = True,
    ) -> None:
        self._least_small_objects = min(_LEAST, max_small_objects)
        self.small_objects = self._least_small_objects if is_adaptive else max_small_objects
        self.blocks: float = _LEAST if is_adaptive else float("inf")
        self._is_adaptive = is_adaptive
        self._max_small_objects = max_small_objects
        self._clock = clock
        self._cpu = cpu
        self._sampled = clock(), cpu()

    def sample(self, *, blocks_refused: bool) -> bool | None:
        """Sample the CPU demand if the sampling interval has elapsed.

        :param blocks_refused: whether the limit of blocks refused one since the last sample. Otherwise more blocks would
            not help, whatever the load
        :return: whether a limit grew; None if nothing was sampled
        """
        now = self._clock()
        since, used = self._sampled
        if now < since + _SAMPLE_SECONDS or not self._is_adaptive:
            return None
        cpu = self._cpu()
        self._sampled = now, cpu
        load = max(0.0, cpu - used) / (now - since)
        before = self.small_objects, self.blocks
        self._adjust_small_objects(load)
        if blocks_refused:
            self._adjust_blocks(load / self.blocks)
        return self.small_objects > before[0] or self.blocks > before[1]

    def _adjust_small_objects(self, load: float) -> None:
        if load > _CPU_BOUND:
            self.small_objects = max(self._least_small_objects, self.small_objects - 1)
        elif load < _NETWORK_BOUND:
            wanted = int(self.small_objects * _TARGET / max(load, _MIN_SHARE))
            self.small_objects = min(self._max_small_objects, max(self.small_objects + 1, wanted))

    def _adjust_blocks(self, share: float) -> None:
        if share < _BLOCK_WAITS:
            self.blocks = max(self.blocks + 1, int(self.blocks * _BLOCK_TARGET / max(share, _MIN_SHARE)))
