"""The accident: a copy is killed with SIGKILL in the middle of its largest object, and its task is cleared.

Airflow would retry the task after a minute. Clearing it, as the UI's button does, saves the wait.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from azure.core.exceptions import AzureError
from azure.storage.blob import BlobClient

from tests.servers import AirflowServer, ServerError

_WATCH_SECONDS = 0.05
_POLL_SECONDS = 0.5


class Accident:
    """Waits in a thread of its own until some blocks of a blob are staged, and kills the task that copies it.

    :param blob: what the task copies; a client without retries
    :param blocks: staged blocks to wait for
    :param note: called with what happened
    """

    def __init__(
        self,
        *,
        airflow: AirflowServer,
        dag_id: str,
        task_id: str,
        blob: BlobClient,
        blocks: int,
        note: Callable[[str], None],
    ) -> None:
        self._airflow = airflow
        self._dag_id = dag_id
        self.task_id = task_id
        self._blob = blob
        self._blocks = blocks
        self._note = note
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._watch: Future[None] | None = None
        self.staged = 0
        """Blocks that were staged when the task was killed; 0: it was done before."""

    def watch(self, run_id: str) -> None:
        """Begin to watch a run."""
        self._watch = self._pool.submit(self._run, run_id)

    def cancel(self) -> None:
        """End the watch, whatever it sees."""
        self._over.set()

    def end(self) -> None:
        """End the watch, and wait for it.

        :raises requests.RequestException: if Airflow did not respond
        """
        self.cancel()
        if self._watch is not None:
            self._watch.result()

    def _run(self, run_id: str) -> None:
        # The process first: a question to Airflow takes as long as a few blocks.
        while (task := self._task(run_id)) is None or task["state"] != "running" or not task["pid"]:
            if self._over.wait(_POLL_SECONDS):
                return
        while (staged := self._staged()) < self._blocks:
            if self._over.wait(_WATCH_SECONDS):
                return
        with suppress(ProcessLookupError):
            os.kill(task["pid"], signal.SIGKILL)
            self.staged = staged
            self._note(f"Killed (SIGKILL): copy of {self._blob.blob_name}, {staged} blocks staged")
        while (now := self._task(run_id)) is not None and now["state"] == "running":
            if self._over.wait(_POLL_SECONDS):
                return
        # A run that ends meanwhile has no task to clear.
        with suppress(ServerError):
            self._airflow.api(
                "POST",
                f"/dags/{quote(self._dag_id)}/clearTaskInstances",
                dry_run=False,
                dag_run_id=run_id,
                task_ids=[[self.task_id, task["map_index"]]],
                only_failed=False,
            )

    def _staged(self) -> int:
        try:
            _, blocks = self._blob.get_block_list("uncommitted")
        except AzureError:
            return 0
        return len(blocks)

    def _task(self, run_id: str) -> dict[str, Any] | None:
        """Return the first copy; None before the plan has mapped it."""
        tasks = self._airflow.task_instances(self._dag_id, run_id)
        return next((task for task in tasks if task["task_id"] == self.task_id and task["map_index"] == 0), None)
