"""A private Airflow: `airflow standalone` in a home of its own, spoken to through its public API."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import sqlite3
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psutil
import requests

from tests.servers.process import ServerError, ServerProcess, child_environment, free_port

_NAME = "Airflow"
_START_SECONDS = 180.0
_POLL_SECONDS = 0.5
_PAGE = 100
_QUIET_SECONDS = 30.0
# Not the triggerer: only deferred tasks need it, and it is there seconds later.
_AWAITED = ("metadatabase", "scheduler", "dag_processor")
_FINAL_RUN_STATES = ("success", "failed")


class AirflowServer:
    """A private Airflow over a folder of DAGs; `directory` gets its home (`airflow/`) and `airflow.log`.

    `connections` maps connection ids to what `airflow_connection()` of the other servers returns. `config`
    holds more environment variables for Airflow and its tasks (`AIRFLOW__CORE__PARALLELISM`, `AIRFLOW_VAR_…`,
    any other), which win over the ones set here. Everyone who reaches its port on 127.0.0.1 is an
    administrator, unless there are `users`: roles of Airflow's SimpleAuthManager by name, the first of which this
    class speaks as. All of it is below `base_path`, such as "/team/airflow". The metadata database is SQLite.
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
    ) -> None:
        self.home = (directory / "airflow").resolve()
        self._database = self.home / "airflow.db"
        self.log = directory / "airflow.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{base_path}"
        self._token: str | None = None
        self._users = dict(users or {})
        self._passwords = {user: secrets.token_urlsafe(16) for user in self._users}
        self._session = requests.Session()
        # Neither a proxy nor a .netrc of the machine comes between.
        self._session.trust_env = False
        self.process = ServerProcess(
            _NAME,
            [sys.executable, "-m", "airflow", "standalone"],
            directory=self.home,
            environment=self._environment(dags_folder, connections, {**self._user_config(), **(config or {})}),
            log=self.log,
            # SIGTERM ends standalone without its children, SIGINT with them.
            stop_signal=signal.SIGINT,
            # Its home is thrown away: nothing is gained by waiting longer.
            grace=5.0,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start Airflow and wait until its API server, scheduler and DAG processor are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        # Kept in the file. Without it whoever reads keeps the others from writing.
        with closing(sqlite3.connect(self._database)) as database:
            database.execute("PRAGMA journal_mode=WAL")
        if self._users:
            self._password_file.write_text(json.dumps(self._passwords))
        self.process.start(self._is_healthy, within=_START_SECONDS)

    def stop(self) -> None:
        """Stop Airflow and every task it runs."""
        self.process.stop()
        self._token = None

    def token(self) -> str:
        """Return a token for the API, as the UI's cookie `_token` holds it too."""
        if self._token is None:
            self._token = self.token_of(next(iter(self._users), None))
        return self._token

    def token_of(self, user: str | None) -> str:
        """Return a token of one of the `users`; None: of the anonymous administrator there is without any."""
        where = f"{self.url}/auth/token"
        if user is None:
            answer = self._session.get(where, timeout=30)
        else:
            answer = self._session.post(where, json={"username": user, "password": self._passwords[user]}, timeout=30)
        _refuse_errors(answer)
        return str(answer.json()["access_token"])

    def api(self, method: str, path: str, **values: Any) -> dict[str, Any]:
        """Send a request to /api/v2 and return its answer.

        `values` are the query of a GET, else the JSON body. Raises ServerError with the answer's detail if
        it is refused.
        """
        answer = self._request(method, path, values)
        if answer.status_code == requests.codes.unauthorized:
            self._token = None
            answer = self._request(method, path, values)
        _refuse_errors(answer)
        return dict(answer.json()) if answer.content else {}

    def wait_for_dag(self, dag_id: str, timeout: float = 60.0) -> dict[str, Any]:
        """Return a DAG once Airflow knows it; raise ServerError at once if a file cannot be imported."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.api("GET", f"/dags/{_quoted(dag_id)}")
            except ServerError as error:
                if broken := self.api("GET", "/importErrors")["import_errors"]:
                    traces = "\n".join(f"{one['filename']}:\n{one['stack_trace']}" for one in broken)
                    raise ServerError(_NAME, f"cannot import:\n{traces}") from error
                if time.monotonic() > deadline:
                    raise ServerError(_NAME, f"has no DAG {dag_id} after {timeout:g} s", self.log) from error
            time.sleep(_POLL_SECONDS)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs start: every DAG begins paused."""
        self.api("PATCH", f"/dags/{_quoted(dag_id)}", is_paused=False)

    def trigger(
        self,
        dag_id: str,
        conf: Mapping[str, Any] | None = None,
        logical_date: datetime | None = None,
    ) -> str:
        """Trigger a run and return its id; without a logical date the run has no data interval either."""
        date = logical_date.isoformat() if logical_date else None
        run = self.api("POST", f"/dags/{_quoted(dag_id)}/dagRuns", conf=dict(conf or {}), logical_date=date)
        return str(run["dag_run_id"])

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        timeout: float,
        on_poll: Callable[[dict[str, Any]], None] | None = None,
    ) -> str:
        """Return "success" or "failed" once the run has ended; `on_poll` gets the run at each look."""
        deadline = time.monotonic() + timeout
        while True:
            run = self.api("GET", _run_path(dag_id, run_id))
            if on_poll is not None:
                on_poll(run)
            if run["state"] in _FINAL_RUN_STATES:
                return str(run["state"])
            if time.monotonic() > deadline:
                tasks = ", ".join(
                    f"{task['task_id']}[{task['map_index']}] {task['state']}"
                    for task in self.task_instances(dag_id, run_id)[:10]
                )
                problem = f"has run {run_id} of {dag_id} still {run['state']} after {timeout:g} s ({tasks})"
                raise ServerError(_NAME, problem, self.log)
            time.sleep(_POLL_SECONDS)

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
        # Standalone's own children are its parts: `airflow scheduler` and so on.
        parts = psutil.Process(self.process.pid).children()
        writers = [one for one in parts if not re.search("api[-_]server", " ".join(one.cmdline()))]
        deadline = time.monotonic() + _QUIET_SECONDS
        try:
            while True:
                for one in writers:
                    one.suspend()
                if self._nobody_writes():
                    break
                for one in writers:
                    one.resume()
                if time.monotonic() > deadline:
                    raise ServerError(_NAME, f"has written to its database for {_QUIET_SECONDS:g} s", self.log)
            yield
        finally:
            for one in writers:
                one.resume()

    def _nobody_writes(self) -> bool:
        with closing(sqlite3.connect(self._database, timeout=0.2)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return False
            return True

    def wait_for_backfill(self, backfill_id: int, timeout: float) -> None:
        """Wait until all runs of a backfill have ended and Airflow, which looks every 30 s, has seen that."""
        deadline = time.monotonic() + timeout
        while self.api("GET", f"/backfills/{backfill_id}")["completed_at"] is None:
            if time.monotonic() > deadline:
                raise ServerError(_NAME, f"has not completed backfill {backfill_id} after {timeout:g} s", self.log)
            time.sleep(_POLL_SECONDS)

    def runs(self, dag_id: str, run_type: str) -> list[dict[str, Any]]:
        """Return up to 100 runs of a type, such as `backfill`, by their dates."""
        path = f"/dags/{_quoted(dag_id)}/dagRuns"
        return list(self.api("GET", path, run_type=run_type, limit=_PAGE, order_by="run_after")["dag_runs"])

    def wait_for_question(self, dag_id: str, run_id: str, task_id: str, timeout: float) -> dict[str, Any]:
        """Return what a task asks of a human once it waits for the answer: `subject`, `body`, `options`, …"""
        deadline = time.monotonic() + timeout
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}"
        while (state := self.api("GET", path)["state"]) != "awaiting_input":
            if time.monotonic() > deadline:
                raise ServerError(_NAME, f"has {task_id} of {run_id} still {state} after {timeout:g} s", self.log)
            time.sleep(_POLL_SECONDS)
        return self.api("GET", f"{path}/-1/hitlDetails")

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Answer a task that waits for a human."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/-1/hitlDetails"
        self.api("PATCH", path, chosen_options=[option])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run, the mapped ones too."""
        found: list[dict[str, Any]] = []
        while True:
            path = f"{_run_path(dag_id, run_id)}/taskInstances"
            page = self.api("GET", path, limit=_PAGE, offset=len(found))
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def xcom(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        key: str = "return_value",
        map_index: int = -1,
    ) -> Any:
        """Return the value a task pushed."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/xcomEntries/{_quoted(key)}"
        return self.api("GET", path, map_index=map_index)["value"]

    def logs(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of one try of a task, a line of JSON per event."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/logs/{try_number}"
        answer = self.api("GET", path, map_index=map_index, full_content=True)
        return "\n".join(json.dumps(event, ensure_ascii=False) for event in answer["content"])

    @property
    def _password_file(self) -> Path:
        return (self.home / "passwords.json").resolve()

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

    def _is_healthy(self) -> bool:
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
            health = answer.json()
        except requests.RequestException:
            return False
        return all(health[part]["status"] == "healthy" for part in _AWAITED)

    def _request(self, method: str, path: str, values: dict[str, Any]) -> requests.Response:
        return self._session.request(
            method,
            f"{self.url}/api/v2{path}",
            headers={"Authorization": f"Bearer {self.token()}"},
            params=values if method == "GET" else None,
            json=values if values and method != "GET" else None,
            timeout=60,
        )

    def _environment(
        self, dags_folder: Path, connections: Mapping[str, Mapping[str, Any]], config: Mapping[str, str]
    ) -> dict[str, str]:
        bundle = {
            "name": "dags-folder",
            "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
            "kwargs": {"path": str(dags_folder.resolve())},
        }
        return child_environment(
            **{
                # Standalone starts its parts as `airflow`.
                "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
                "AIRFLOW_HOME": str(self.home),
                "AIRFLOW__API__HOST": "127.0.0.1",
                "AIRFLOW__API__PORT": str(self.port),
                "AIRFLOW__API__BASE_URL": self.url,
                "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
                "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder.resolve()),
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
                "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                "AIRFLOW__CORE__PARALLELISM": "4",
                "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
                "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
                "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
                "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
                "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
                "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
                "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
                **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
                **config,
            }
        )


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _refuse_errors(answer: requests.Response) -> None:
    if answer.status_code < requests.codes.bad_request:
        return
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.text
    request = f"{answer.request.method} {answer.request.path_url}"
    raise ServerError(_NAME, f"answered {answer.status_code} to {request}: {detail}")
