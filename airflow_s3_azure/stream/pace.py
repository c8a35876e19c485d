"""How much to do at once, by what keeps a copy waiting: the network, or the processor.

Where round trips are long, many threads hide them, and a block can be read while another is on its way to Azure. Where
they are as short as the Python between them, more threads only wait for each other (one at a time runs Python), each
handing over costs, and more blocks in memory only push each other out of the processor's cache. Which of both it is
shows in the share of a core that the process uses.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_BUSY = 0.95
_IDLE = 0.6
_AIM = 0.7
"""Shares of one core: less at once above the first, more below the second, as much as should lead to the third."""
_LEAST = 0.02


class Pace:
    """What the load of this process allows: ``limit`` small objects at once, and if it ``is_idle``, to read ahead.

    It begins with one and nothing.

    :param most: that it may grow to
    :param clock: seconds, on a clock
    :param cpu: seconds that the process computed
    """

    def __init__(
        self, most: int, clock: Callable[[], float] = time.monotonic, cpu: Callable[[], float] = time.process_time
    ) -> None:
        self.limit = 1
        self.is_idle = False
        self._most = most
        self._clock = clock
        self._cpu = cpu
        self._last = clock(), cpu()

    def adjust(self) -> bool:
        """Look at the load since the last look, and return whether more may be done at once than before."""
        before, computed = self._last
        self._last = now, cpu = self._clock(), self._cpu()
        if now <= before:
            return False
        load = (cpu - computed) / (now - before)
        if load > _BUSY:
            self.limit, self.is_idle = max(1, self.limit - 1), False
            return False
        if load >= _IDLE or (self.limit == self._most and self.is_idle):
            return False
        wanted = int(self.limit * _AIM / max(load, _LEAST))
        self.limit, self.is_idle = min(self._most, max(self.limit + 1, wanted)), True
        return True
