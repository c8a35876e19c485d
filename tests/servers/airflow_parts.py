"""Run the parts of an Airflow as `airflow standalone` does, but forked from one process that has imported Airflow.

`airflow standalone` starts each part as a new Python, which imports Airflow again: some seconds of CPU for each part, on
every start. Here the imports and the creation of the database come first, and each part is forked from them.

SIGINT and SIGTERM end all parts, and so does the end of any of them: a test must not wait for a part that is gone. It is
run as a script, whose folder must not come before the packages: `python -P`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from setproctitle import setproctitle

_IMPORTED = (
    "airflow.cli.cli_parser",
    "airflow.dag_processing.manager",
    "airflow.executors.local_executor",
    "airflow.jobs.dag_processor_job_runner",
    "airflow.jobs.scheduler_job_runner",
    "airflow.sdk.execution_time.task_runner",
)
"""Imports of most parts. What only the API server needs is left to it, and is imported while the other parts start."""


def main(parts: Sequence[str]) -> str | None:
    """Create the database, fork the parts, and wait until all have ended; return which one ended unasked."""
    from airflow import settings
    from airflow.utils import db

    for name in _IMPORTED:
        import_module(name)
    db.initdb()
    # A forked connection would be shared between two processes.
    settings.dispose_orm()
    running = {_fork(part): part for part in parts}
    stopping = False

    def stop(*_signal: object) -> None:
        nonlocal stopping
        stopping = True
        for pid in running:
            # Between the end of a part and its removal from `running` a signal may arrive.
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    ended = None
    while running:
        pid, status = os.wait()
        part = running.pop(pid)
        if not stopping:
            ended = f"airflow {part} ended with {os.waitstatus_to_exitcode(status)}, so all other parts were stopped"
            stop()
    return ended


def _fork(part: str) -> int:
    """Return the process id of a part."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        code = _run(part)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _run(part: str) -> int:
    settings: Any = import_module("airflow.settings")
    airflow: Any = import_module("airflow.__main__")

    setproctitle(f"airflow {part}")
    settings.configure_orm()
    sys.argv = ["airflow", part]
    try:
        airflow.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
