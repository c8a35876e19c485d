"""A sync whose container is audited."""

from tests.sync_group.conftest import sync

__all__ = ["sync"]
