"""A private Airflow: the parts of `airflow standalone` in a home of its own, called through its public API."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import sqlite3
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.servers import airflow_parts
from tests.servers.airflow_api import NAME, AirflowApi
from tests.servers.process import ServerError, ServerProcess, child_environment, free_port

START_SECONDS = 300.0
_QUIET_SECONDS = 30.0
# Not the triggerer: only deferred tasks need it, and it is healthy seconds later.
_AWAITED = ("metadatabase", "scheduler", "dag_processor")
# The API server takes the longest to start.
_PARTS = ("api-server", "scheduler", "dag-processor")
_LOCAL_SETTINGS = """\
# Tasks are forked from the scheduler: what it has imported, no task imports again.
import airflow.providers.standard.operators.python
from airflow_s3_azure.preload import preload

preload()
"""


class AirflowServer(AirflowApi):
    """A private Airflow over a folder of DAGs; `directory` gets its home (`airflow/`) and `airflow.log`.

    `connections` maps connection ids to what `airflow_connection()` of the other servers returns. `config`
    holds more environment variables for Airflow and its tasks (`AIRFLOW__CORE__PARALLELISM`, `AIRFLOW_VAR_…`,
    any other), which win over the ones set here. Everyone who reaches its port on 127.0.0.1 is an
    administrator, unless there are `users`: roles of Airflow's SimpleAuthManager by name; this class
    authenticates as the first. All of it is below `base_path`, such as "/team/airflow". The metadata database is SQLite.
    `deferrable=False` leaves out the triggerer, without which no deferred task goes on.
    """

    def __init__(
        self,
        directory: Path,
        dags_folder: Path,
        connections: Mapping[str, Mapping[str, Any]],
        config: Mapping[str, str] | None = None,
        *,
        users: Mapping[str, str] | None = None,
        base_path: str = "",
        deferrable: bool = True,
    ) -> None:
        self.home = (directory / "airflow").resolve()
        self._database = self.home / "airflow.db"
        self.port = free_port()
        self._users = dict(users or {})
        passwords = {user: secrets.token_urlsafe(16) for user in self._users}
        super().__init__(f"http://127.0.0.1:{self.port}{base_path}", directory / "airflow.log", passwords)
        self.process = ServerProcess(
            NAME,
            [sys.executable, "-P", airflow_parts.__file__, *_PARTS, *(["triggerer"] if deferrable else [])],
            directory=self.home,
            environment=airflow_environment(
                self.home,
                self.port,
                self.url,
                dags_folder,
                connections,
                {**self._database_config(), **self._user_config(), **(config or {})},
            ),
            log=self.log,
            # Its home is thrown away: nothing is gained by waiting longer.
            grace=2.0,
        )

    def start(self) -> None:
        """Start Airflow and wait until its API server, scheduler and DAG processor are healthy."""
        settings = self.home / "config" / "airflow_local_settings.py"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(_LOCAL_SETTINGS)
        # Kept in the file. Without it a reader blocks all writers.
        with closing(sqlite3.connect(self._database)) as database:
            database.execute("PRAGMA journal_mode=WAL")
        if self._users:
            self._password_file.write_text(json.dumps(self._passwords))
        self.process.start(lambda: self.is_healthy(*_AWAITED) and self._serves_tasks(), within=START_SECONDS)

    def _serves_tasks(self) -> bool:
        """Return whether the tasks' API responds. Its first request builds its routes, which takes seconds."""
        try:
            return self._session.get(f"{self.url}/execution/health", timeout=START_SECONDS).ok
        except requests.RequestException:
            return False

    def stop(self) -> None:
        """Stop Airflow and every task it runs."""
        self.process.stop()

    def backfill(self, dag_id: str, first: datetime, last: datetime, **options: Any) -> int:
        """Create a backfill, as the UI does, and return its id.

        :param first: logical date of the first run
        :param last: of the last one, itself included
        :param options: more of the request's body: `dag_run_conf`, `reprocess_behavior`, `max_active_runs`, …
        """
        dates = {"from_date": first.isoformat(), "to_date": last.isoformat()}
        with self.quiet_database():
            return int(self.api("POST", "/backfills", dag_id=dag_id, **dates, **options)["id"])

    @contextmanager
    def quiet_database(self) -> Iterator[None]:
        """Keep all but the API server from the database, between two of their transactions.

        For the creation of a backfill: on SQLite Airflow gives it up if another process writes meanwhile, after the
        scheduler has seen its runs, and then the scheduler dies of their absence.
        """
        # The leader's own children are the parts: `airflow scheduler` and so on.
        parts = psutil.Process(self.process.pid).children()
        writers = [one for one in parts if not re.search("api[-_]server", " ".join(one.cmdline()))]
        deadline = time.monotonic() + _QUIET_SECONDS
        try:
            while True:
                for one in writers:
                    one.suspend()
                if self._is_unused():
                    break
                for one in writers:
                    one.resume()
                if time.monotonic() > deadline:
                    raise ServerError(NAME, f"has written to its database for {_QUIET_SECONDS:g} s", self.log)
            yield
        finally:
            for one in writers:
                one.resume()

    def _is_unused(self) -> bool:
        with closing(sqlite3.connect(self._database, timeout=0.2)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    @property
    def _password_file(self) -> Path:
        return (self.home / "passwords.json").resolve()

    def _database_config(self) -> dict[str, str]:
        # A scheduler dies of a lock that it did not get in time: by default five seconds, too few for a busy machine.
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._database}?timeout=60"}

    def _user_config(self) -> dict[str, str]:
        if not self._users:
            return {}
        return {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{user}:{role}" for user, role in self._users.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._password_file),
        }


def airflow_environment(
    home: Path,
    port: int,
    url: str,
    dags_folder: Path,
    connections: Mapping[str, Mapping[str, Any]],
    config: Mapping[str, str],
) -> dict[str, str]:
    """Return the environment of an Airflow's processes: its API at `url`, all settings, and none of the user's.

    :param config: more of it, which wins
    """
    bundle = {
        "name": "dags-folder",
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(dags_folder.resolve())},
    }
    return child_environment(
        **{
            # A task's own Python, such as a BashOperator's, finds `airflow`.
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder.resolve()),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            # Without one the first part writes a key into airflow.cfg, which parts that read it earlier do not have: what
            # the DAG processor encrypts for a triggerer, the triggerer dies of.
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # On a busy machine the API server needs longer than the default of 5 s.
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
            **config,
        }
    )
