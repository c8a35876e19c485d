"""How many examples a property test runs: fewer in `make unit` (the profile "quick" of conftest.py) than in `make test`."""

from __future__ import annotations

from hypothesis import settings


def examples(times: float) -> int:
    """Return a multiple of the profile's number of examples, which is 100 by default."""
    return max(1, round(times * settings().max_examples))
