"""Keeps the checkpoint of an audit in Airflow's task state store, which survives retries and slices.

Airflow has the store since 3.3. Without it an audit is one execution, and a retry starts over: XCom is wiped at each try, and
what the container holds is untrusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.audit.audit_ledger import Checkpoint

log = get_logger(__name__)

KEY = "audit"


class StoredCheckpoints:
    """The checkpoint of a task's audit.

    :param context: the task's
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._store = context.get("task_state_store")

    @property
    def is_kept(self) -> bool:
        """Whether a later execution of the task finds the checkpoint."""
        return self._store is not None

    def load(self) -> Checkpoint | None:
        """Return the last checkpoint; None if there is none."""
        found = None if self._store is None else self._store.get(KEY)
        return Checkpoint(**found) if found else None

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint. A failure only costs what a later execution compares again."""
        if self._store is None:
            return
        try:
            self._store.set(KEY, checkpoint.as_json())
        except Exception as error:
            log.warning("the audit's checkpoint could not be kept: %s", type(error).__name__)

    def clear(self) -> None:
        """Forget the checkpoint: the audit is complete."""
        if self._store is not None:
            self._store.delete(KEY)
