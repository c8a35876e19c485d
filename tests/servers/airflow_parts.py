"""Run the parts of an Airflow as `airflow standalone` does, but forked from one process that has imported Airflow.

`airflow standalone` starts each part as a new Python, which imports Airflow again: some seconds of CPU for each part, on
every start. Here the imports and the creation of the database come first, and each part is forked from them.

SIGINT and SIGTERM end all parts. It is run as a script, whose folder must not come before the packages: `python -P`.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType
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


def main(parts: Sequence[str]) -> int:
    """Create the database, fork the parts, and wait until all have ended; return the exit status."""
    from airflow import settings
    from airflow.utils import db

    for name in _IMPORTED:
        import_module(name)
    db.initdb()
    # A forked connection would be shared between two processes.
    settings.dispose_orm()
    pids = [_fork(part) for part in parts]

    def stop(_number: int, _frame: FrameType | None) -> None:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    for pid in pids:
        os.waitpid(pid, 0)
    return 0


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
