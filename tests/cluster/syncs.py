"""A sync on a cluster: its DAG, its one run, and what became of each key."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.exceptions import ResourceNotFoundError

from tests.ledgers import ledger_rows
from tests.polling import wait_for

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.servers.cluster import AirflowCluster

MIB = 1024 * 1024
COPY = "s3_to_azure.copy"
REPORT = "s3_to_azure.report"
_THREADS = 8
_SHOWN_LINES = 30
_Found = TypeVar("_Found")
_DAG = """
import datetime
from airflow.sdk import DAG
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG({dag_id!r}):
    s3_to_azure_sync(**{arguments!r})
"""


class ClusterSync:
    """A sync of a bucket to a container."""

    def __init__(self, cluster: AirflowCluster, bucket: Bucket, container: ContainerClient) -> None:
        self._cluster = cluster
        self._bucket = bucket
        self._container = container
        self.bodies: dict[str, bytes] = {}
        self.dag_id = f"sync_{container.container_name}"
        self.run_id = ""

    def put(self, bodies: Mapping[str, bytes], **arguments: Any) -> None:
        """Upload objects, with more arguments of PutObject."""
        self.bodies |= bodies
        arguments["ChecksumAlgorithm"] = "CRC64NVME"
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(lambda one: self._bucket.put(*one, **arguments), bodies.items()))

    def start(self, **arguments: Any) -> None:
        """Trigger its run, with two retries that come soon, blocks of 1 MiB, and the arguments given."""
        endpoints = {"s3_bucket": self._bucket.name, "container_name": self._container.container_name}
        how = {"block_size": MIB, "retries": 2, "retry_delay": timedelta(seconds=1)}
        text = _DAG.format(dag_id=self.dag_id, arguments={**endpoints, **how, **arguments})
        (self._cluster.dags_folder / f"{self.dag_id}.py").write_text(text)
        self._cluster.wait_for_dag(self.dag_id)
        self._cluster.unpause(self.dag_id)
        self.run_id = self._cluster.trigger(self.dag_id)

    def copies(self) -> list[dict[str, Any]]:
        """Return the copy tasks as Airflow knows them."""
        return [one for one in self._cluster.task_instances(self.dag_id, self.run_id) if one["task_id"] == COPY]

    def copying(self) -> dict[str, Any]:
        """Return the one copy task once it runs."""
        return self.wait_for(lambda: next((one for one in self.copies() if one["state"] == "running"), None), 60)

    def wait_for(self, poll: Callable[[], _Found | None], seconds: float) -> _Found:
        """Poll until the result is true, and return it. The error says how far the run came, and what the parts logged last."""
        return wait_for(poll, seconds, self._describe)

    def executions(self) -> list[tuple[int, str]]:
        """Return the map index and the worker of each execution of a copy task, by what the workers logged."""
        started = re.compile(
            rf"Executing workload in Celery: .*dag_id={self.dag_id}/\S*/task_id={COPY}/map_index=(\d+)/attempt=1"
        )
        return [
            (int(index), name)
            for name in self._cluster.workers
            for index in started.findall(self._cluster.log_of(name))
        ]

    def staged(self, key: str) -> int:
        """Return how many blocks of a blob are staged."""
        try:
            return len(self._container.get_blob_client(key).get_block_list("uncommitted")[1])
        except ResourceNotFoundError:
            return 0

    def logs(self, try_number: int) -> str:
        """Return what the first copy task logged in one of its tries."""
        return self._cluster.logs(self.dag_id, self.run_id, COPY, try_number, map_index=0)

    def finish(self, timeout: float = 180) -> dict[str, Any]:
        """Wait for the run's end, which must be a good one, and return its report."""
        state = self._cluster.wait_for_run(self.dag_id, self.run_id, timeout)
        failed = [
            self._cluster.logs(self.dag_id, self.run_id, one["task_id"], one["try_number"], one["map_index"])
            for one in self._cluster.task_instances(self.dag_id, self.run_id)
            if one["state"] == "failed"
        ]
        assert state == "success", "\n".join(failed)
        report: dict[str, Any] = self._cluster.xcom(self.dag_id, self.run_id, REPORT)
        return report

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Return each key's row of the ledger. A key that is in it twice is an error."""
        rows = ledger_rows(self._container, f"_s3_to_azure/{self.dag_id}/")
        assert max(Counter(row["key"] for row in rows).values()) == 1
        return {row["key"]: row for row in rows}

    def blobs(self) -> dict[str, bytes]:
        """Return what the container holds, without manifest and ledger."""
        names = [name for name in self._container.list_blob_names() if not name.startswith("_s3_to_azure/")]
        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(names, pool.map(self._read, names), strict=True))

    def check(self, report: Mapping[str, Any]) -> None:
        """Assert that all is there: the blobs identical, each key in the ledger once and as done, and counted once.

        What a try had copied that died before it could write so into the ledger is `unchanged` for the next one.
        """
        assert self.blobs() == self.bodies
        ledger = self.ledger()
        assert ledger.keys() == self.bodies.keys()
        copied = [key for key, row in ledger.items() if row["status"] == "copied"]
        unchanged = [key for key, row in ledger.items() if row["status"] == "unchanged"]
        counted = {name: report[name] for name in ("objects", "copied", "unchanged", "skipped", "failed", "missing")}
        assert counted == {
            "objects": len(self.bodies),
            "copied": len(copied),
            "unchanged": len(unchanged),
            "skipped": 0,
            "failed": 0,
            "missing": 0,
        }
        assert len(copied) + len(unchanged) == len(self.bodies)
        assert report["copied_bytes"] == sum(len(self.bodies[key]) for key in copied)
        assert report["verified"] == {"crc64nvme": len(copied)}

    def _describe(self) -> str:
        tasks = {
            f"{one['task_id']}[{one['map_index']}]": one["state"]
            for one in self._cluster.task_instances(self.dag_id, self.run_id)
        }
        logs = "\n".join(
            f"{name}:\n" + "\n".join(self._cluster.log_of(name).splitlines()[-_SHOWN_LINES:])
            for name in (*self._cluster.parts, *self._cluster.workers)
        )
        return f"{tasks}, dead: {self._cluster.dead_parts()}\n{logs}"

    def _read(self, name: str) -> bytes:
        return bytes(self._container.download_blob(name).readall())
