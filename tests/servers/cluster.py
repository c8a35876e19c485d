"""A private Airflow as it runs on many machines: PostgreSQL, Redis, each part a process of its own, Celery workers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.airflow import START_SECONDS, airflow_environment
from tests.servers.airflow_api import POLL_SECONDS, AirflowApi
from tests.servers.postgres import PostgresServer
from tests.servers.process import ServerError, ServerProcess, free_port
from tests.servers.redis import RedisServer

_HEARTBEAT_SECONDS = 2
_LOST_SECONDS = 10
"""After so long without a heartbeat a task's worker is taken for dead."""
_HEALTHY_WITHIN = 60.0
"""Seconds. On a busy machine a heartbeat may be late."""
_CONFIG = {
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    # Each worker has its own name in LOGNAME: to Airflow they are hosts.
    "AIRFLOW__CORE__HOSTNAME_CALLABLE": "getpass.getuser",
    "AIRFLOW__CORE__PARALLELISM": "32",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(_LOST_SECONDS),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": str(_HEARTBEAT_SECONDS),
}


class AirflowCluster(AirflowApi):
    """A CeleryExecutor's Airflow over a folder of DAGs; `directory` gets the files and a log of each part.

    The arguments are those of AirflowServer. The parts are `api-server`, `scheduler`, `dag-processor`, `triggerer` and
    the workers, `worker-1` and so on, of two tasks at once each. A part that is killed stays dead until it is started.

    :param workers: how many
    """

    def __init__(
        self,
        directory: Path,
        dags_folder: Path,
        connections: Mapping[str, Mapping[str, Any]],
        config: Mapping[str, str] | None = None,
        *,
        workers: int = 2,
    ) -> None:
        self.directory = directory
        self.dags_folder = dags_folder
        self.home = (directory / "airflow").resolve()
        self.database = PostgresServer(directory)
        self.broker = RedisServer(directory)
        port = free_port()
        super().__init__(f"http://127.0.0.1:{port}", directory / "api-server.log")
        database = {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{self.database.address}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{self.database.address}",
            "AIRFLOW__CELERY__BROKER_URL": self.broker.url,
        }
        self._environment = airflow_environment(
            self.home, port, self.url, dags_folder, connections, {**_CONFIG, **database, **(config or {})}
        )
        self.parts = {name: self._part(name) for name in ("api-server", "scheduler", "dag-processor", "triggerer")}
        self.workers = {name: self._worker(name) for name in (f"worker-{number + 1}" for number in range(workers))}

    def start(self) -> None:
        """Start all, and wait until all are healthy and the workers take tasks."""
        try:
            self.broker.start()
            self.database.start()
            self._migrate()
            self.start_part("api-server")
            with ThreadPoolExecutor() as pool:
                names = (*self.parts, *self.workers)
                list(pool.map(self.start_part, (name for name in names if name != "api-server")))
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all, and every task that runs."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda part: part.stop(), (*self.workers.values(), *self.parts.values())))
        self.broker.stop()
        self.database.stop()

    def start_part(self, name: str) -> None:
        """Start a part, or start it again, and wait until it works."""
        if name in self.workers:
            self._start_worker(name, self.workers[name])
        else:
            self.parts[name].stop()
            self.parts[name].start(lambda: self.is_healthy(_health(name)), within=START_SECONDS)

    def dead_parts(self) -> list[str]:
        """Return the names of the parts that died or were killed."""
        return [name for name, part in {**self.parts, **self.workers}.items() if not part.is_running]

    def start_dead_parts(self) -> None:
        """Start what died or was killed, as a machine's init system does."""
        for name in self.dead_parts():
            self.start_part(name)

    def start_unhealthy_parts(self) -> None:
        """Start what died, and start again what is not healthy soon, as a liveness probe does."""
        self.start_dead_parts()
        for name in self.parts:
            deadline = time.monotonic() + _HEALTHY_WITHIN
            while not (is_healthy := self.is_healthy(_health(name))) and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
            if not is_healthy:
                self.start_part(name)

    def log_of(self, part: str) -> str:
        """Return the log of a part."""
        return (self.directory / f"{part}.log").read_text(errors="replace")

    @contextmanager
    def one_more_worker(self, name: str, config: Mapping[str, str]) -> Iterator[ServerProcess]:
        """Let one more worker take part, with settings of its own."""
        worker = self._worker(name, config)
        self._start_worker(name, worker)
        try:
            yield worker
        finally:
            worker.stop()

    def _migrate(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        log = self.directory / "migrate.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [sys.executable, "-m", "airflow", "db", "migrate"],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise ServerError("airflow db migrate", f"ended with {done.returncode}", log)

    def _part(self, name: str) -> ServerProcess:
        return self._process(name, [name], {})

    def _worker(self, name: str, config: Mapping[str, str] | None = None) -> ServerProcess:
        own = {"LOGNAME": name, "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()), **(config or {})}
        return self._process(name, ["celery", "worker", "--celery-hostname", name, "--concurrency", "2"], own)

    def _process(self, name: str, arguments: list[str], config: Mapping[str, str]) -> ServerProcess:
        return ServerProcess(
            name,
            [sys.executable, "-m", "airflow", *arguments],
            directory=self.home,
            environment={**self._environment, **config},
            log=self.directory / f"{name}.log",
            # Its home is thrown away: nothing is gained by waiting longer.
            grace=5.0,
        )

    def _start_worker(self, name: str, worker: ServerProcess) -> None:
        worker.stop()
        ready_before = _count_ready(worker.log, name)
        worker.start(lambda: _count_ready(worker.log, name) > ready_before, within=START_SECONDS)


def _health(part: str) -> str:
    """Return what the health of a part is called in the API."""
    return {"api-server": "metadatabase"}.get(part, part.replace("-", "_"))


def _count_ready(log: Path, name: str) -> int:
    return log.read_text(errors="replace").count(f"celery@{name} ready") if log.exists() else 0
