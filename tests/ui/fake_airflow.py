"""A fake of the part of Airflow that our pages see: its single-page app over an API of any size.

The app is Airflow's own, so React, the router and Chakra are the real ones; the browser caches it. The API has the shapes and the filters that
our pages use, and its limit of 100 items; `test_contract.py` compares them with a real Airflow. A run with 1,000 batches or
a deployment with 46 DAGs takes no time to create, and every request is counted.
"""

from __future__ import annotations

import json
import mimetypes
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import airflow

from airflow_s3_azure import ui as package

GROUP = "s3_to_azure"
PAGE = 100
OPERATORS = {
    "plan": "S3ToAzurePlanOperator",
    "batches": "S3ToAzureBatchesOperator",
    "copy": "S3ToAzureCopyBatchOperator",
    "approve_delete": "S3ToAzureApproveDeleteOperator",
    "report": "S3ToAzureReportOperator",
    "object": "S3ToAzureBlobStreamOperator",
    "audit": "S3ToAzureAuditOperator",
    "preflight": "S3ToAzurePreflightOperator",
}
Item = dict[str, Any]

_DIST = Path(airflow.__file__).parent / "ui" / "dist"
_STATIC = Path(package.__file__).parent / "static"
_CONFIG = {
    "fallback_page_limit": 50,
    "auto_refresh_interval": 3,
    "hide_paused_dags_by_default": False,
    "instance_name": "Airflow",
    "enable_swagger_ui": False,
    "require_confirmation_dag_change": False,
    "default_wrap": False,
    "test_connection": "Disabled",
    "dashboard_alert": [],
    "show_external_log_redirect": False,
    "theme": None,
    "multi_team": False,
}
# Each of our views as a page of its own, for the app draws the others only inside of much that is not ours.
_ENTRY = """
import { DagTab } from './dag_tab.js';
import { HomeRow } from './home_row.js';
import { NavPage } from './nav_page.js';
import { RunTab } from './run_tab.js';
import { React } from './host.js';
globalThis.RunView = () => React.createElement(RunTab, { dagId: '%(dag)s', runId: '%(run)s' });
globalThis.DagView = () => React.createElement(DagTab, { dagId: '%(dag)s' });
globalThis.HomeView = () => React.createElement('div', { style: { padding: 24 } }, React.createElement(HomeRow),
  React.createElement('h1', { 'data-testid': 'below' }, 'Welcome'));
globalThis.AllView = NavPage;
"""
_LISTED = ("dag_id", "is_paused", "timetable_summary")
"""The fields of a DAG in the list; the details have more."""
_PLUGIN_LISTS = ("external_views", "fastapi_apps", "appbuilder_views", "appbuilder_menu_items", "listeners", "macros")
_VIEWS = {"run": "RunView", "dag": "DagView", "home": "HomeView", "all": "AllView"}


class FakeAirflow:
    """A deployment of any size; the attributes are what the API has.

    :param now: the time of the newest runs
    """

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.dags: dict[str, Item] = {}
        self.runs: list[Item] = []
        self.tasks: list[Item] = []
        self.xcoms: dict[tuple[str, str, str, int, str], Any] = {}
        self.events: list[Item] = []
        self.approvals: list[Item] = []
        self.progress: dict[tuple[str, str, str, int], Item] = {}
        self.logs: dict[tuple[str, str, str, int], list[Item]] = {}
        self.posted: list[tuple[str, Item]] = []
        self.requests: list[str] = []
        self.forbidden: set[str] = set()
        self.version = "3.3.2"
        self.held = ""
        """Requests with this text in their URL wait until they are released."""
        self.released = threading.Event()

    # What there is

    def add_dag(
        self, dag_id: str, *, zone: str = "UTC", schedule: str | None = "0 0 * * *", paused: bool = False
    ) -> None:
        """Add a DAG."""
        self.dags[dag_id] = {
            "dag_id": dag_id,
            "is_paused": paused,
            "timetable_summary": schedule,
            "timezone": zone,
            "start_date": "2026-01-01T00:00:00Z",
        }

    def add_run(
        self,
        dag_id: str,
        start: datetime,
        *,
        state: str = "success",
        kind: str = "scheduled",
        report: Item | None = None,
        group: str = GROUP,
        ran: datetime | None = None,
    ) -> str:
        """Add a run of a day from `start`, with the task that reports it, and return its id."""
        run_id = f"{kind}__{start.isoformat()}"
        after = ran or start + timedelta(days=1)
        ended = state in ("success", "failed")
        self.runs.append(
            {
                "dag_run_id": run_id,
                "dag_id": dag_id,
                "logical_date": start.isoformat(),
                "data_interval_start": start.isoformat(),
                "data_interval_end": (start + timedelta(days=1)).isoformat(),
                "run_after": after.isoformat(),
                "start_date": after.isoformat(),
                "end_date": (after + timedelta(minutes=3)).isoformat() if ended else None,
                "run_type": kind,
                "state": state,
                "conf": {},
            }
        )
        self.add_task(dag_id, run_id, "report", state=state if ended else None, group=group, started=after)
        if report is not None:
            self.xcoms[(dag_id, run_id, f"{group}.report", -1, "return_value")] = report
            if report.get("dry_run"):
                self.xcoms[(dag_id, run_id, f"{group}.report", -1, "s3_to_azure_dry_run")] = True
            elif state == "success":
                self.events.append(
                    {
                        "source_dag_id": dag_id,
                        "source_run_id": run_id,
                        "source_task_id": f"{group}.report",
                        "source_map_index": -1,
                        "timestamp": (after + timedelta(minutes=3)).isoformat(),
                        "extra": {name: one for name, one in report.items() if isinstance(one, int | float | str)},
                    }
                )
        return run_id

    def add_task(
        self,
        dag_id: str,
        run_id: str,
        name: str,
        *,
        state: str | None = "success",
        map_index: int = -1,
        label: str | None = None,
        group: str = GROUP,
        started: datetime | None = None,
        seconds: float = 60,
        fields: Item | None = None,
    ) -> Item:
        """Add an instance of one of our tasks."""
        run = next(one for one in reversed(self.runs) if (one["dag_id"], one["dag_run_id"]) == (dag_id, run_id))
        start = started or datetime.fromisoformat(run["run_after"])
        ended = state in ("success", "failed", "skipped", "upstream_failed")
        task = {
            "id": f"00000000-0000-0000-0000-{len(self.tasks):012d}",
            "task_id": name if name in ("object", "audit", "preflight") else f"{group}.{name}",
            "dag_id": dag_id,
            "dag_run_id": run_id,
            "map_index": map_index,
            "logical_date": run["logical_date"],
            "run_after": run["run_after"],
            "start_date": start.isoformat() if state else None,
            "end_date": (start + timedelta(seconds=seconds)).isoformat() if ended else None,
            "duration": seconds if ended else None,
            "state": state,
            "try_number": 1 if state else 0,
            "operator": OPERATORS[name],
            "rendered_map_index": label,
            "rendered_fields": fields or {},
            "_updated_at": self.now.isoformat(),
        }
        self.tasks.append(task)
        return task

    # How it responds

    def respond(self, method: str, url: str, body: bytes) -> tuple[int, Any]:
        """Return the status and the JSON of the API's response."""
        split = urlsplit(url)
        self.requests.append(f"{split.path.removeprefix('/api/v2/')}?{split.query}")
        parts = [unquote(part) for part in split.path.removeprefix("/api/v2/").split("/")]
        if method == "POST":
            self.posted.append(("/".join(parts), json.loads(body)))
            return 200, {"task_instances": [], "total_entries": 0}
        if any(pattern in "/".join(parts) for pattern in self.forbidden):
            return 403, {"detail": "Forbidden"}
        found = self.find(parts, parse_qs(split.query))
        return (404, {"detail": "not found"}) if found is None else (200, found)

    def find(self, parts: list[str], query: dict[str, list[str]]) -> Any:
        """Return the API's response to a GET; None: 404."""
        match parts:
            case ["dags"]:
                listed = [{name: one[name] for name in _LISTED} for one in self.dags.values()]
                return _page("dags", listed, query)
            case ["dags", dag_id, "details"]:
                return self.dags.get(dag_id)
            case ["dags", dag_id, "tasks"]:
                kinds = {(one["task_id"], one["operator"]) for one in self.tasks if one["dag_id"] == dag_id}
                return {"tasks": [{"task_id": task, "operator_name": name} for task, name in sorted(kinds)]}
            case ["dags", dag_id, "dagRuns"]:
                return _page("dag_runs", self._of(self.runs, dag_id, "~", query), query)
            case ["dags", dag_id, "dagRuns", run_id]:
                return next(iter(self._of(self.runs, dag_id, run_id, {})), None)
            case ["dags", dag_id, "dagRuns", run_id, "taskInstances"]:
                return _page("task_instances", self._of(self.tasks, dag_id, run_id, query), query)
            case ["dags", dag_id, "dagRuns", run_id, "hitlDetails"]:
                keep = [one for one in self.approvals if one["task_instance"]["dag_run_id"] == run_id]
                return {"hitl_details": keep, "total_entries": len(keep)}
            case ["dags", dag_id, "dagRuns", run_id, "taskInstances", task_id, *rest]:
                return self._of_task(dag_id, run_id, task_id, rest, query)
            case ["assets", "events"]:
                return _page("asset_events", list(_kept(self.events, query)), query)
        return None

    def _of_task(self, dag_id: str, run_id: str, task_id: str, rest: list[str], query: dict[str, list[str]]) -> Any:
        map_index = int(query.get("map_index", ["-1"])[0])
        match rest:
            case ["xcomEntries"]:
                return _page("xcom_entries", list(self._xcoms(dag_id, run_id, task_id, query)), query)
            case ["xcomEntries", key]:
                name = (dag_id, run_id, task_id, map_index, key)
                return {"key": key, "value": self.xcoms[name]} if name in self.xcoms else None
            case ["state-store"]:
                value = self.progress.get((dag_id, run_id, task_id, map_index))
                return {"task_state_store": [{"key": "progress", "value": value}] if value else []}
            case ["logs", _]:
                return {"content": self.logs.get((dag_id, run_id, task_id, map_index), []), "continuation_token": None}
        return None

    def _of(self, items: Iterable[Item], dag_id: str, run_id: str, query: dict[str, list[str]]) -> list[Item]:
        return [
            one for one in _kept(items, query) if dag_id in ("~", one["dag_id"]) and run_id in ("~", one["dag_run_id"])
        ]

    @cached_property
    def _after(self) -> dict[tuple[str, str], str]:
        return {(run["dag_id"], run["dag_run_id"]): run["run_after"] for run in self.runs}

    def _xcoms(self, dag_id: str, run_id: str, task_id: str, query: dict[str, list[str]]) -> Iterator[Item]:
        for dag, run, task, map_index, key in self.xcoms:
            wanted = {"~", dag}, {"~", run}, {"~", task}
            item = {
                "dag_id": dag,
                "run_id": run,
                "task_id": task,
                "map_index": map_index,
                "key": key,
                "timestamp": self._after[(dag, run)],
                "run_after": self._after[(dag, run)],
            }
            if all(one in names for one, names in zip((dag_id, run_id, task_id), wanted, strict=True)):
                yield from _kept([item], query)


_FILTERS: dict[str, Callable[[Item, list[str]], bool]] = {
    "operator": lambda one, values: one["operator"] in values,
    "task_id": lambda one, values: one["task_id"] in values,
    "run_type": lambda one, values: one["run_type"] in values,
    "xcom_key": lambda one, values: one["key"] in values,
    "source_dag_id": lambda one, values: one["source_dag_id"] in values,
    "source_task_id": lambda one, values: one["source_task_id"] in values,
    "task_id_pattern": lambda one, values: values[0] in one["task_id"],
    "dag_id_prefix_pattern": lambda one, values: str(one["dag_id"]).startswith(tuple(values[0].split("|"))),
    "run_after_gte": lambda one, values: _time(one["run_after"]) >= _time(values[0]),
    "updated_at_gte": lambda one, values: _time(one["_updated_at"]) >= _time(values[0]),
    "timestamp_gte": lambda one, values: _time(one["timestamp"]) >= _time(values[0]),
}
_UNFILTERED = {"limit", "offset", "order_by", "exclude_stale", "response_received", "full_content", "map_index"}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _kept(items: Iterable[Item], query: dict[str, list[str]]) -> Iterator[Item]:
    unknown = query.keys() - _FILTERS.keys() - _UNFILTERED
    assert not unknown, f"the fake has no filter {unknown}"
    filters = [(_FILTERS[name], values) for name, values in query.items() if name in _FILTERS]
    if "map_index" in query:
        filters.append((lambda one, values: str(one["map_index"]) == values[0], query["map_index"]))
    return (one for one in items if all(keep(one, values) for keep, values in filters))


def _page(name: str, items: list[Item], query: dict[str, list[str]]) -> Item:
    if "order_by" in query:
        by = query["order_by"][0]
        field = by.removeprefix("-")
        items = sorted(items, key=lambda one: (one[field] is not None, one[field]), reverse=by.startswith("-"))
    start = int(query.get("offset", ["0"])[0])
    stop = start + min(PAGE, int(query.get("limit", ["50"])[0]))
    # What begins with an underscore can be filtered by, but is not in responses.
    shown = [{key: value for key, value in one.items() if not key.startswith("_")} for one in items[start:stop]]
    return {name: shown, "total_entries": len(items)}


class FakeServer:
    """Serves the app, our pages and the fake of the test that runs, while its context lasts.

    :param seconds: how long each response of the API takes
    """

    def __init__(self, seconds: float = 0) -> None:
        self.airflow = FakeAirflow()
        self._seconds = seconds
        self._shown = {"dag": "", "run": ""}
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # As Airflow's server does: without it each response waits for the acknowledgment of its headers.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                status, kind, body = server.respond(self.command, self.path, self._body())
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                # The app's files have their hashes in their names.
                is_static = self.path.startswith("/static/")
                self.send_header("Cache-Control", "max-age=3600" if is_static else "no-store")
                self.end_headers()
                with suppress(ConnectionError):
                    self.wfile.write(body)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

            def _body(self) -> bytes:
                return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def path(self, view: str, dag_id: str = "", run_id: str = "") -> str:
        """Return the path of one of our views: "run", "dag", "home" or "all"."""
        self._shown = {"dag": dag_id, "run": run_id}
        return f"/plugin/{view}"

    def respond(self, method: str, url: str, body: bytes) -> tuple[int, str, bytes]:
        """Return the status, the type and the body of the response."""
        path = urlsplit(url).path
        if path in (app := self._app()):
            return 200, "application/json", json.dumps(app[path]).encode()
        if path.startswith("/api/v2/"):
            time.sleep(self._seconds)
            if self.airflow.held and self.airflow.held in url:
                self.airflow.released.wait(30)
            status, found = self.airflow.respond(method, url, body)
            return status, "application/json", json.dumps(found).encode()
        if path == "/s3-to-azure/entry.js":
            return 200, "text/javascript", (_ENTRY % self._shown).encode()
        for prefix, folder in (("/static/", _DIST), ("/s3-to-azure/", _STATIC)):
            if path.startswith(prefix):
                file = folder / path.removeprefix(prefix)
                kind = mimetypes.guess_type(file.name)[0] or "text/plain"
                return (200, kind, file.read_bytes()) if file.is_file() else (404, "text/plain", b"")
        page = (_DIST / "index.html").read_text().replace("{{ backend_server_base_url }}", f"{self.url}/")
        return 200, "text/html", page.encode()

    def _app(self) -> dict[str, Any]:
        """Return the response to a request of the app itself."""
        apps = [
            {
                "name": name,
                "bundle_url": "s3-to-azure/entry.js",
                "destination": "nav",
                "url_route": view,
                "icon": "s3-to-azure/icon.svg",
                "icon_dark_mode": "s3-to-azure/icon-dark.svg",
                "category": None,
                "nav_top_level": True,
            }
            for view, name in _VIEWS.items()
        ]
        plugin = {"name": "s3_to_azure", "react_apps": apps, **{name: [] for name in _PLUGIN_LISTS}, "source": ""}
        return {
            "/ui/config": _CONFIG,
            "/ui/auth/menus": {"authorized_menu_items": ["Dags"], "extra_menu_items": []},
            "/ui/auth/me": {"id": "ada", "username": "ada"},
            "/api/v2/version": {"version": self.airflow.version, "git_version": None},
            "/api/v2/plugins": {"plugins": [plugin], "total_entries": 1},
        }
