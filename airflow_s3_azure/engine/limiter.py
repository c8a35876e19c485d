"""How much to do at once, by what keeps a copy waiting: the network, or the processor.

Where round trips are long, many threads hide them, and blocks can be read while others are on their way to Azure. Where
they are as short as the work between them, more threads only wait for each other (one at a time runs Python), each
handing over costs, and more blocks in memory and in the kernel's socket buffers only push each other out of the
processor's cache. Which of both it is shows in the processor time that the process takes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_BUSY = 0.85
_IDLE = 0.5
_AIM = 0.7
"""Shares of one core: fewer small objects above the first, more below the second, as many as should lead to the third."""
_LEAST = 0.02
_BLOCKS = 2
"""Blocks in hand at first: one is read while the other is written."""
_WAITING = 0.25
_WORKING = 0.35
"""Shares of one core for each block in hand: more blocks below the first, as many as should lead to the second."""
_LOOK_SECONDS = 0.05
"""What is shorter than that is chance: one answer that takes its time."""


class Limiter:
    """What the load of this process allows: ``objects`` small ones at once, and ``blocks`` in hand.

    Small objects are Python, of which a process runs one thread at a time: when a core is busy, it is too many of them.
    Blocks are mostly work of the kernel, on any core: as long as each is waited for, there are too few of them. They
    never become fewer: that a thread waits because others have the cores looks as if it waited for the network.

    :param most: that ``objects`` may grow to
    :param clock: seconds, on a clock
    :param cpu: seconds that the process computed
    :param is_on: False: as much as wanted, whatever the load
    """

    def __init__(
        self,
        most: int,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
        *,
        is_on: bool = True,
    ) -> None:
        self.objects = 1 if is_on else most
        self.blocks = _BLOCKS
        self._is_on = is_on
        self._most = most
        self._clock = clock
        self._cpu = cpu
        self._last = clock(), cpu()
        self._wants_blocks = False

    def has_room(self, blocks: int) -> bool:
        """Say if one more may be taken in hand beside so many, and take note if not."""
        self._wants_blocks = self._wants_blocks or blocks >= self.blocks
        return blocks < self.blocks or not self._is_on

    def adjust(self) -> bool:
        """Look at the load since the last look, if that is a while ago; return whether more may be done at once now."""
        now, cpu = self._clock(), self._cpu()
        since, computed = self._last
        if now < since + _LOOK_SECONDS or not self._is_on:
            return False
        self._last = now, cpu
        load = (cpu - computed) / (now - since)
        before = self.objects, self.blocks
        self._adjust_objects(load)
        self._adjust_blocks(load / self.blocks)
        return self.objects > before[0] or self.blocks > before[1]

    def _adjust_objects(self, load: float) -> None:
        if load > _BUSY:
            self.objects = max(1, self.objects - 1)
        elif load < _IDLE:
            wanted = int(self.objects * _AIM / max(load, _LEAST))
            self.objects = min(self._most, max(self.objects + 1, wanted))

    def _adjust_blocks(self, share: float) -> None:
        # What the load was while fewer would have been enough says nothing.
        if self._wants_blocks and share < _WAITING:
            self.blocks = max(self.blocks + 1, int(self.blocks * _WORKING / max(share, _LEAST)))
        self._wants_blocks = False
