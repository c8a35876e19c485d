"""How much to do at once, by what keeps a copy waiting: the network, or the processor.

Where round trips are long, many threads hide them, and blocks can be read while others are on their way to Azure. Where
they are as short as the work between them, more threads only wait for each other (one at a time runs Python), each
handing over costs, and more blocks in memory and in the kernel's socket buffers only push each other out of the
processor's cache. Which of both it is shows in the processor time that the process takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_BUSY = 0.95
_IDLE = 0.6
_AIM = 0.7
"""Shares of one core: fewer small objects above the first, more below the second, as many as should lead to the third."""
_LEAST = 0.02
_BLOCKS = 2
"""Blocks in hand at first: one is read while the other is written."""
_WAITING = 0.25
_WORKING = 0.35
"""Shares of one core for each block in hand: more blocks below the first, as many as should lead to the second."""
_LOOK_SECONDS = 0.05


class Pace:
    """What the load of this process allows: ``objects`` small ones at once, and ``blocks`` in hand.

    Small objects are Python, of which a process runs one thread at a time: when a core is busy, it is too many of them.
    Blocks are mostly work of the kernel, on any core: as long as each is waited for, there are too few of them. They
    never become fewer: that a thread waits because others have the cores looks as if it waited for the network.

    :param most: that ``objects`` may grow to
    :param clock: seconds, on a clock
    :param cpu: seconds that the process computed
    """

    def __init__(
        self, most: int, clock: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = time.process_time
    ) -> None:
        self.objects = 1
        self.blocks = _BLOCKS
        self._most = most
        self._clock = clock
        self._cpu = cpu
        self._last = self._last_of_blocks = clock(), cpu()
        self._wants_blocks = False

    def has_room(self, blocks: int) -> bool:
        """Say if one more may be taken in hand beside so many, and take note if not."""
        self._wants_blocks = self._wants_blocks or blocks >= self.blocks
        return blocks < self.blocks

    def adjust(self) -> bool:
        """Look at the load since the last look, and return whether more may be done at once than before."""
        now = self._clock(), self._cpu()
        more_objects, more_blocks = self._adjust_objects(now), self._adjust_blocks(now)
        return more_objects or more_blocks

    def _adjust_objects(self, now: tuple[float, float]) -> bool:
        load = _load(self._last, now)
        self._last = now
        if load is not None and load > _BUSY:
            self.objects = max(1, self.objects - 1)
        if load is None or load >= _IDLE or self.objects == self._most:
            return False
        self.objects = min(self._most, max(self.objects + 1, int(self.objects * _AIM / max(load, _LEAST))))
        return True

    def _adjust_blocks(self, now: tuple[float, float]) -> bool:
        if not self._wants_blocks:
            # What the load was while fewer would have been enough says nothing.
            self._last_of_blocks = now
            return False
        if now[0] < self._last_of_blocks[0] + _LOOK_SECONDS:
            return False
        share = (_load(self._last_of_blocks, now) or 0.0) / self.blocks
        self._last_of_blocks, self._wants_blocks = now, False
        if share >= _WAITING:
            return False
        self.blocks = max(self.blocks + 1, int(self.blocks * _WORKING / max(share, _LEAST)))
        return True


def _load(before: tuple[float, float], now: tuple[float, float]) -> float | None:
    seconds, computed = now[0] - before[0], now[1] - before[1]
    return computed / seconds if seconds > 0 else None
