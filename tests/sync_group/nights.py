"""A sync from a bucket to a container, run night after night, and what became of each night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, task

from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.airflow_runs import Run, clear_and_run, run_dag
from tests.ledgers import ledger_rows

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

MIB = 1024 * 1024


class Night:
    """A run of a DAG with one sync group, which has come to its end."""

    def __init__(self, dag: DAG, run: Run, container: ContainerClient) -> None:
        self.dag = dag
        self.run = run
        self._container = container

    @property
    def state(self) -> str:
        """The run's."""
        return self.run.state

    def states(self) -> dict[str, str]:
        """Return the state of each task of the group, of mapped ones as ``copy[0]``."""
        return {
            task_id.rpartition(".")[2] + (f"[{index}]" if index >= 0 else ""): state
            for (task_id, index), state in self.run.states().items()
        }

    @cached_property
    def plans(self) -> list[dict[str, Any]]:
        """The totals of the plan, or of each."""
        one = self.run.xcom("s3_to_azure.plan", "plan")
        return [one] if one else self.run.xcom("s3_to_azure.batches", "plan")["plans"]

    @cached_property
    def report(self) -> dict[str, Any]:
        """What the report returned."""
        found: dict[str, Any] = self.run.xcom("s3_to_azure.report")
        return found

    def totals(self, *names: str) -> tuple[Any, ...]:
        """Return some of the report's numbers."""
        return tuple(self.report[name] for name in names)

    @cached_property
    def ledger(self) -> list[dict[str, Any]]:
        """All its rows, of all plans."""
        return [row for plan in self.plans for row in ledger_rows(self._container, f"{plan['folder']}/")]

    def statuses(self) -> dict[str, str]:
        """Return each key's status by the ledger. A key that is in it twice is an error."""
        rows = [row for row in self.ledger if row["key"] is not None]
        found = {row["key"]: row["status"] for row in rows}
        assert len(found) == len(rows)
        return found

    def reasons(self) -> dict[str, str]:
        """Return each key's reason by the ledger."""
        return {row["key"]: row["reason"] for row in self.ledger if row["key"] is not None}


@dataclass(frozen=True)
class Sync:
    """A sync group between a bucket and a container, with arguments of its own in each night."""

    bucket: Bucket
    container: ContainerClient

    def dag(
        self,
        *,
        params: dict[str, Any] | None = None,
        listed: Sequence[str] | None = None,
        key_list: Any = None,
        errors: dict[str, BaseException] | None = None,
        **arguments: Any,
    ) -> DAG:
        """Return a DAG of one group.

        :param params: of the DAG
        :param listed: prefixes that a task returns which comes before the group
        :param key_list: keys that a task returns which comes before the group
        :param errors: gets the error of each task that fails, by its name in the group
        """

        def keep_error(context: Any) -> None:
            if errors is not None:
                errors[context["ti"].task_id.rpartition(".")[2]] = context["exception"]

        with DAG(
            f"sync_{self.container.container_name}", params=params, default_args={"on_failure_callback": keep_error}
        ) as dag:

            @task
            def list_prefixes() -> Sequence[str]:
                return listed or []

            if listed is not None:
                arguments["s3_prefix"] = list_prefixes()

            @task
            def list_keys() -> Any:
                return key_list

            if key_list is not None:
                arguments["keys"] = list_keys()
            s3_to_azure_sync(**self.group_arguments(**arguments))
        return dag

    def group_arguments(self, **arguments: Any) -> dict[str, Any]:
        """Return a group's arguments: the endpoints, no retries, small batches, and the given ones."""
        return {
            "s3_bucket": self.bucket.name,
            "container_name": self.container.container_name,
            "retries": 0,
            "block_size": MIB,
            "batch_objects": 5,
            **arguments,
        }

    def night(self, conf: dict[str, Any] | None = None, **arguments: Any) -> Night:
        """Run it to its end."""
        return self.carry_out(self.dag(**arguments), conf)

    def carry_out(self, dag: DAG, conf: dict[str, Any] | None = None) -> Night:
        """Run a DAG to its end."""
        return Night(dag, run_dag(dag, conf), self.container)

    def clear(self, night: Night, *, only_failed: bool = True) -> Night:
        """Run a night's failed tasks again, or all, as clearing them in the UI does."""
        return Night(night.dag, clear_and_run(night.dag, night.run, only_failed=only_failed), self.container)

    def put(self, *keys: str, body: bytes | None = None) -> None:
        """Upload objects; without a body each holds its own key."""
        for key in keys:
            self.bucket.put(key, key.encode() if body is None else body)

    def blobs(self) -> dict[str, bytes]:
        """Return what the container holds, without manifests and ledgers."""
        names = [blob.name for blob in self.container.list_blobs() if not blob.name.startswith("_s3_to_azure/")]
        return {name: self.container.download_blob(name).readall() for name in names}
