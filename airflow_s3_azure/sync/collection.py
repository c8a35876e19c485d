"""The garbage collector while a plan is made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 50_000
"""Objects of the youngest generation after which it is collected.

A page of a listing makes some 15,000 objects, none of which is in a cycle. At Python's own threshold, 700 or 2,000, a page
causes tens of collections, which find nothing and take a third of the time to parse it. What a plan leaves in cycles, such as a
failed request's traceback, is still collected; until then it is at most this many objects.
"""


@contextmanager
def fewer_collections() -> Iterator[None]:
    """Collect the youngest generation of objects less often. The threshold is the process's own, and is restored at the end.

    A collector that is off, or has a higher threshold, stays as it is.
    """
    before = gc.get_threshold()
    if 0 < before[0] < YOUNG:
        gc.set_threshold(YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
