"""A sync whose container is audited, and the log of tasks."""

from tests.sync_group.conftest import logged, sync

__all__ = ["logged", "sync"]
