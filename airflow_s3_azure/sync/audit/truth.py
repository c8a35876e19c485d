"""What an audit compares a container with: the arguments that name it. Pure."""

from __future__ import annotations

from typing import Literal

CompareWith = Literal["ledger", "records"]
"""The ledgers of the container's syncs, or the records on the blobs themselves."""
Runs = Literal["newest", "all"]
"""Which complete runs of each sync are the truth."""
