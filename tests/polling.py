"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

_Found = TypeVar("_Found")


def wait_for(
    poll: Callable[[], _Found | None], seconds: float, describe: Callable[[], str] = lambda: "it did not come"
) -> _Found:
    """Poll until the result is true, and return it. If it is late, the error says what ``describe`` returns."""
    deadline = time.monotonic() + seconds
    while not (found := poll()):
        assert time.monotonic() < deadline, f"not after {seconds:g} s: {describe()}"
        time.sleep(0.2)
    return found
