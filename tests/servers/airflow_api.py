"""Airflow's public API, as a user's own scripts call it, for every kind of deployment."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

from tests.servers.process import ServerError, Startable

NAME = "Airflow"
POLL_SECONDS = 0.5
_LOCKED_TRIES = 10
_PAGE = 100
_FINAL_RUN_STATES = ("success", "failed")


class AirflowApi(Startable):
    """The API of an Airflow at `url`, whose errors show the end of `log`.

    Without `passwords` this is the anonymous administrator of SimpleAuthManager's "all admins" mode, else
    as the first of the users whose passwords these are.
    """

    def __init__(self, url: str, log: Path, passwords: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.log = log
        self._passwords = dict(passwords or {})
        self._token: str | None = None
        self._session = requests.Session()
        # Neither a proxy nor a .netrc of the machine comes between.
        self._session.trust_env = False

    def token(self) -> str:
        """Return a token for the API, as the UI's cookie `_token` holds it too."""
        if self._token is None:
            self._token = self.token_of(next(iter(self._passwords), None))
        return self._token

    def token_of(self, user: str | None) -> str:
        """Return a token of one of the `users`; None: of the anonymous administrator there is without any."""
        where = f"{self.url}/auth/token"
        if user is None:
            response = self._session.get(where, timeout=30)
        else:
            response = self._session.post(where, json={"username": user, "password": self._passwords[user]}, timeout=30)
        _raise_errors(response)
        return str(response.json()["access_token"])

    def api(self, method: str, path: str, **values: Any) -> dict[str, Any]:
        """Send a request to /api/v2 and return the response.

        `values` are the query of a GET, else the JSON body. Raises ServerError with the response's detail if
        it is refused, and with the end of the log if there is no response.
        """
        response = self._request(method, path, values)
        if response.status_code == requests.codes.unauthorized:
            self._token = None
            response = self._request(method, path, values)
        for _ in range(_LOCKED_TRIES):
            # SQLite was locked for longer than its driver waits; the transaction was rolled back.
            if response.status_code != requests.codes.server_error or "Database error" not in response.text:
                break
            time.sleep(1)
            response = self._request(method, path, values)
        _raise_errors(response)
        return dict(response.json()) if response.content else {}

    def wait_for_dag(self, dag_id: str, timeout: float = 60.0) -> dict[str, Any]:
        """Return a DAG once Airflow knows it; raise ServerError at once if a file cannot be imported."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.api("GET", f"/dags/{_quoted(dag_id)}")
            except ServerError as error:
                if broken := self.api("GET", "/importErrors")["import_errors"]:
                    traces = "\n".join(f"{one['filename']}:\n{one['stack_trace']}" for one in broken)
                    raise ServerError(NAME, f"cannot import:\n{traces}") from error
                if time.monotonic() > deadline:
                    raise ServerError(NAME, f"has no DAG {dag_id} after {timeout:g} s", self.log) from error
            time.sleep(POLL_SECONDS)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG's runs start: every DAG begins paused."""
        self.api("PATCH", f"/dags/{_quoted(dag_id)}", is_paused=False)

    def add_connection(self, connection_id: str, connection: Mapping[str, Any]) -> None:
        """Add a connection to the metadata database, as a user does in the UI."""
        extra = json.dumps(connection.get("extra", {}))
        self.api("POST", "/connections", **{**connection, "connection_id": connection_id, "extra": extra})

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
        """Return "success" or "failed" once the run has ended; `on_poll` gets the run at each poll."""
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
                raise ServerError(NAME, problem, self.log)
            time.sleep(POLL_SECONDS)

    def wait_for_backfill(self, backfill_id: int, timeout: float) -> None:
        """Wait until all runs of a backfill have ended and Airflow, which polls every 30 s, has seen that."""
        deadline = time.monotonic() + timeout
        while self.api("GET", f"/backfills/{backfill_id}")["completed_at"] is None:
            if time.monotonic() > deadline:
                raise ServerError(NAME, f"has not completed backfill {backfill_id} after {timeout:g} s", self.log)
            time.sleep(POLL_SECONDS)

    def runs(self, dag_id: str, run_type: str) -> list[dict[str, Any]]:
        """Return up to 100 runs of a type, such as `backfill`, by their dates."""
        path = f"/dags/{_quoted(dag_id)}/dagRuns"
        return list(self.api("GET", path, run_type=run_type, limit=_PAGE, order_by="run_after")["dag_runs"])

    def wait_for_question(self, dag_id: str, run_id: str, task_id: str, timeout: float) -> dict[str, Any]:
        """Return the question of a task once it waits for a human: `subject`, `body`, `options`, …"""
        deadline = time.monotonic() + timeout
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}"
        while (state := self.api("GET", path)["state"]) != "awaiting_input":
            if time.monotonic() > deadline:
                raise ServerError(NAME, f"has {task_id} of {run_id} still {state} after {timeout:g} s", self.log)
            time.sleep(POLL_SECONDS)
        return self.api("GET", f"{path}/-1/hitlDetails")

    def respond(self, dag_id: str, run_id: str, task_id: str, option: str) -> None:
        """Choose an option for a task that waits for a human."""
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
        response = self.api("GET", path, map_index=map_index, full_content=True)
        return "\n".join(json.dumps(event, ensure_ascii=False) for event in response["content"])

    def is_healthy(self, *parts: str) -> bool:
        """Whether the API responds and reports these parts as healthy: `metadatabase`, `scheduler`, `triggerer`, …"""
        try:
            response = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=5)
            health = response.json()
        except requests.RequestException:
            return False
        return all(health[part]["status"] == "healthy" for part in parts)

    def _request(self, method: str, path: str, values: dict[str, Any]) -> requests.Response:
        try:
            return self._session.request(
                method,
                f"{self.url}/api/v2{path}",
                headers={"Authorization": f"Bearer {self.token()}"},
                params=values if method == "GET" else None,
                json=values if values and method != "GET" else None,
                timeout=60,
            )
        except requests.ConnectionError as error:
            raise ServerError(NAME, f"does not respond to {method} {path}", self.log) from error


def _quoted(text: str) -> str:
    return quote(text, safe="")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _raise_errors(response: requests.Response) -> None:
    if response.status_code < requests.codes.bad_request:
        return
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text
    request = f"{response.request.method} {response.request.path_url}"
    raise ServerError(NAME, f"returned {response.status_code} to {request}: {detail}")
