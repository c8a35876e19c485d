"""A started Airflow with runs of every kind: good, failed, running, dry, backfilled, missing, and none at all.

The UI's tests and the screenshots share it. Everything is real: the runs copy objects from the S3 server to Azurite.
Two proxies in front of Azurite refuse some keys and delay others until the test releases them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from tests.faults.proxy import Delay, FaultProxy, Refuse, Stall
from tests.ledgers import ledger_rows
from tests.servers import AirflowServer, AzureServer, S3Server, ServerError

if TYPE_CHECKING:
    from tests.faults.http1 import Request

EXPORTS, MEDIA, INVOICES, ARCHIVE, OTHER, KEYS, BROKEN, MIRROR = (
    "exports_to_azure",
    "media_to_azure",
    "invoices_to_azure",
    "archive_to_azure",
    "clean_up",
    "contracts_by_key",
    "broken_to_azure",
    "mirror_to_azure",
)
"""The DAGs: a nightly one with a history; one that is running; one that fails; one that never ran; one without a
sync; one that copies single objects; one whose plan fails; one that waits for the approval of a deletion."""
DRY = "dry run"
"""Name of the run of EXPORTS that copies nothing, over the data of the failed day."""
MISSING_KEY = "2026/11/invoice-9999.pdf"
"""A key of KEYS that is not in the bucket."""
GROUP = "s3_to_azure"
CONTAINER = "landing"
BASE_PATH = "/team/airflow"
"""The path of Airflow on its host, which is often not the root."""
USERS = {"ada": "ADMIN", "vera": "VIEWER"}
REFUSED = "2026/11/refused.pdf"
"""The object of the failing DAG that Azure refuses, at first."""

_PATIENCE = 180.0
"""Seconds for what takes ten on a quiet machine."""
_DAGS = """
from datetime import datetime, timedelta
from airflow.sdk import DAG, CronDataIntervalTimetable, task
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync

daily = dict(schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"), max_active_runs=4)

with DAG({exports!r}, start_date=datetime.fromisoformat({start!r}), catchup=True, **daily):
    s3_to_azure_sync(
        s3_bucket="acme-exports",
        s3_prefix="exports/{{{{ dag_run.data_interval_start.strftime('%Y/%m/%d/') }}}}",
        container_name={container!r}, batch_objects={batch}, max_concurrency=2, retries=0,
        dry_run="{{{{ (dag_run.conf or {{}}).get('dry_run', False) }}}}", egress_price_per_gib=90,
    )

with DAG({media!r}, start_date=datetime(2026, 1, 1), catchup=False, schedule=None):
    s3_to_azure_sync(
        s3_bucket="acme-media", container_name={container!r}, blob_prefix="media/", wasb_conn_id="wasb_slow",
        block_size=1024 * 1024, batch_objects={media_batch}, max_concurrency=1, retries=0,
        max_active_tis_per_dagrun=2,  # they wait, and the other runs need a slot
    )

with DAG({invoices!r}, start_date=datetime(2026, 1, 1), catchup=False, schedule=None):
    s3_to_azure_sync(
        s3_bucket="acme-invoices", container_name={container!r}, blob_prefix="invoices/", batch_objects=5,
        max_concurrency=2, retries=0,
    )

with DAG({archive!r}, start_date=datetime(2026, 1, 1), catchup=False, **daily):
    s3_to_azure_sync(s3_bucket="acme-archive", container_name={container!r})

with DAG({keys!r}, start_date=datetime(2026, 1, 1), schedule=None):
    S3ToAzureBlobStreamOperator.partial(
        task_id="copy", s3_bucket="acme-invoices", container_name={container!r}, blob_prefix="by-key/",
        map_index_template="{{{{ task.s3_key }}}}",
    ).expand(s3_key=["2026/11/invoice-0001.pdf", "2026/11/invoice-0002.pdf", {missing_key!r}])

with DAG({broken!r}, start_date=datetime(2026, 1, 1), schedule=None):
    s3_to_azure_sync(s3_bucket="acme-nothing", container_name={container!r}, blob_prefix="broken/", retries=0)

with DAG({mirror!r}, start_date=datetime(2026, 1, 1), schedule=None):
    s3_to_azure_sync(
        s3_bucket="acme-mirror", container_name={container!r}, blob_prefix="mirror/", delete="extra", max_delete=10,
        retries=0,
    )

with DAG({other!r}, start_date=datetime(2026, 1, 1), schedule=None):
    @task
    def sweep(): return 1
    sweep()
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """The amount of data.

    :param scheduled: days up to yesterday that have scheduled runs
    :param gap: days before those that are missing
    :param backfilled: days before those that were backfilled
    :param files: objects of a usual day
    :param batch: objects in a batch of those
    :param media: objects of the run that is running
    :param media_batch: objects in a batch of those
    :param media_blocks: blocks of 1 MiB of each of those that arrive before it waits, from the third in five on
    :param media_delay: seconds that each further block waits; None: until :meth:`Stage.go_on`
    """

    scheduled: int = 2
    gap: int = 2
    backfilled: int = 1
    files: int = 8
    media: int = 5
    media_size: int = 3 * 1024 * 1024
    batch: int = 12
    media_batch: int = 1
    media_blocks: int = 1
    media_delay: float | None = None


class Stage:
    """The servers and the runs, while the context lasts."""

    def __init__(self, directory: Path, scale: Scale, today: date | None = None) -> None:
        self.scale = scale
        self.today = today or datetime.now(UTC).date()
        self.runs: dict[str, str] = {}
        self._directory = directory
        self._open = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def first_day(self) -> date:
        """The first day of scheduled data."""
        return self.today - timedelta(days=self.scale.scheduled)

    @property
    def missing_days(self) -> list[date]:
        """The days that have no run, oldest first."""
        return [self.first_day - timedelta(days=back) for back in range(self.scale.gap, 0, -1)]

    @property
    def backfilled_days(self) -> list[date]:
        """The days whose runs are backfills, oldest first."""
        last = self.first_day - timedelta(days=self.scale.gap + 1)
        return [last - timedelta(days=back) for back in range(self.scale.backfilled - 1, -1, -1)]

    @property
    def failed_day(self) -> date:
        """The day of scheduled data of which one object is refused."""
        return self.today - timedelta(days=2)

    def rows(self, report: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the ledger that a report names, read with Azure's own SDK."""
        container = self.azure.container_client(CONTAINER)
        folder = report["ledger"].partition(f"/{CONTAINER}/")[2]
        return ledger_rows(container, folder)

    def progress(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> dict[str, Any]:
        """Return the progress that a task reported; empty if none yet."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/state-store"
        entries = self.airflow.api("GET", path, map_index=map_index)["task_state_store"]
        return next((dict(entry["value"]) for entry in entries if entry["key"] == "progress"), {})

    def heal(self) -> None:
        """Make Azure accept what it refused."""
        self.refusing.heal()

    def go_on(self) -> None:
        """Let the run that waits go on to its end."""
        self.stalling.heal()

    def _start(self) -> None:
        self.s3, self.azure = S3Server(self._directory), AzureServer(self._directory)
        self.refusing = self._open.enter_context(FaultProxy("127.0.0.1", self.azure.port))
        self.stalling = self._open.enter_context(FaultProxy("127.0.0.1", self.azure.port))
        self.airflow = AirflowServer(
            self._directory,
            self._write_dags(),
            {
                "aws_default": self.s3.airflow_connection(),
                "wasb_default": self._connection(self.refusing),
                "wasb_slow": self._connection(self.stalling),
            },
            {"AIRFLOW__CORE__PARALLELISM": "6"},
            users=USERS,
            base_path=BASE_PATH,
        )
        for server in (self.s3, self.azure, self.airflow):
            self._open.callback(server.stop)
        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(self.airflow.start), pool.submit(self._start_storage)]:
                started.result()
        self._run()

    def _start_storage(self) -> None:
        self.s3.start()
        self.azure.start()
        self.azure.container_client(CONTAINER)
        self._fill()
        self._set_faults()

    def _connection(self, proxy: FaultProxy) -> dict[str, Any]:
        return self.azure.airflow_connection() | {"host": f"{proxy.url}/{self.azure.account}"}

    def _write_dags(self) -> Path:
        folder = self._directory / "dags"
        folder.mkdir()
        text = _DAGS.format(
            exports=EXPORTS,
            media=MEDIA,
            invoices=INVOICES,
            archive=ARCHIVE,
            other=OTHER,
            keys=KEYS,
            broken=BROKEN,
            mirror=MIRROR,
            missing_key=MISSING_KEY,
            container=CONTAINER,
            start=self.first_day.isoformat(),
            batch=self.scale.batch,
            media_batch=self.scale.media_batch,
        )
        (folder / "stage.py").write_text(text)
        return folder

    def _fill(self) -> None:
        client = self.s3.client()
        for bucket in ("acme-exports", "acme-media", "acme-invoices", "acme-mirror"):
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": self.s3.region})
        noise = random.Random(1).randbytes(self.scale.media_size + 1024)
        for bucket, key, size in self._objects():
            client.put_object(Bucket=bucket, Key=key, Body=noise[:size], ChecksumAlgorithm="CRC64NVME")

    def _objects(self) -> Iterator[tuple[str, str, int]]:
        chance = random.Random(2)
        day = self.backfilled_days[0]
        while day < self.today:
            usual = self.scale.files if day.weekday() < 5 else self.scale.files // 3
            for number in range(max(1, round(usual * chance.uniform(0.7, 1.3)))):
                size = round(chance.lognormvariate(11.5, 1))
                yield "acme-exports", f"exports/{day:%Y/%m/%d}/orders-{number:04d}.parquet", min(size, 1_000_000)
            day += timedelta(days=1)
        yield "acme-exports", f"exports/{self.failed_day:%Y/%m/%d}/refused.parquet", 52_000
        for number in range(self.scale.media):
            yield "acme-media", f"2026/11/reel-{number:04d}.mov", self.scale.media_size
        for number in range(9):
            yield "acme-invoices", f"2026/11/invoice-{number:04d}.pdf", round(chance.lognormvariate(11, 0.7))
        yield "acme-invoices", REFUSED, 31_000
        yield "acme-invoices", "2026/11/ends-with-a-dot.", 10
        for number in range(4):
            yield "acme-mirror", f"report-{number}.csv", 1_000

    def _set_faults(self) -> None:
        def is_refused(request: Request) -> bool:
            return request.method == "PUT" and "refused" in request.path

        # No retry of the request helps, but a new try of the task may.
        self.refusing.strike(Refuse(400, "InvalidInput"), is_refused, times=None)
        for number in range(2 * self.scale.media // 5, self.scale.media):

            def is_late(request: Request, name: str = f"reel-{number:04d}") -> bool:
                return request.method == "PUT" and name in request.path

            delay = self.scale.media_delay
            wait = Stall("unseen") if delay is None else Delay("unseen", delay)
            self.stalling.strike(wait, is_late, skip=self.scale.media_blocks, times=None)

    def _run(self) -> None:
        airflow = self.airflow
        for dag in (EXPORTS, MEDIA, INVOICES, ARCHIVE, OTHER, KEYS, BROKEN, MIRROR):
            airflow.wait_for_dag(dag)
        self._backfill()
        for dag in (EXPORTS, MEDIA, INVOICES, KEYS, OTHER, BROKEN, MIRROR):
            airflow.unpause(dag)
        now = datetime.now(UTC)
        waits = self.scale.media_delay is None
        # What is only slow must not have ended when all else has.
        for dag in (INVOICES, KEYS, OTHER, BROKEN, MIRROR, *([MEDIA] if waits else [])):
            self.runs[dag] = airflow.trigger(dag, logical_date=now)
        self._wait_for_exports()
        # The data interval of a manual run is the last whole day before its logical date.
        morning = datetime.combine(self.failed_day + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=6)
        self.runs[DRY] = airflow.trigger(EXPORTS, {"dry_run": True}, morning)
        for dag in (INVOICES, KEYS, OTHER, BROKEN, MIRROR):
            airflow.wait_for_run(dag, self.runs[dag], timeout=_PATIENCE)
        airflow.wait_for_run(EXPORTS, self.runs[DRY], timeout=_PATIENCE)
        self._wait_for_approval()
        if not waits:
            self.runs[MEDIA] = airflow.trigger(MEDIA, logical_date=now)
        self._wait_for_progress()

    def _backfill(self) -> None:
        days = self.backfilled_days
        body = {"dag_id": EXPORTS, "from_date": f"{days[0]}T00:00:00Z", "to_date": f"{days[-1]}T00:00:00Z"}
        deadline = time.monotonic() + 60
        while True:
            try:
                self.airflow.api("POST", "/backfills", max_active_runs=4, **body)
            except ServerError as error:
                # SQLite takes one writer at a time, and Airflow does not wait for its turn here.
                if "Database is locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return

    def _wait_for_exports(self) -> None:
        wanted = self.scale.scheduled + self.scale.backfilled
        deadline = time.monotonic() + _PATIENCE + 20 * wanted
        while True:
            runs = self.airflow.api("GET", f"/dags/{EXPORTS}/dagRuns", limit=100)["dag_runs"]
            if len(runs) >= wanted and all(run["state"] in ("success", "failed") for run in runs):
                break
            assert time.monotonic() < deadline, [(run["dag_run_id"], run["state"]) for run in runs]
            time.sleep(0.5)
        for run in runs:
            self.runs[f"{EXPORTS} {run['logical_date'][:10]}"] = run["dag_run_id"]

    def _wait_for_approval(self) -> None:
        """Run the mirror again over fewer keys, until it waits for approval to delete their blobs."""
        for number in range(2):
            self.s3.client().delete_object(Bucket="acme-mirror", Key=f"report-{number}.csv")
        self.runs[MIRROR] = run = self.airflow.trigger(MIRROR, logical_date=datetime.now(UTC))
        deadline = time.monotonic() + _PATIENCE
        path = f"/dags/{MIRROR}/dagRuns/{quote(run, safe='')}/hitlDetails"
        while not self.airflow.api("GET", path)["hitl_details"]:
            assert time.monotonic() < deadline, self.airflow.task_instances(MIRROR, run)
            time.sleep(0.5)

    def _wait_for_progress(self) -> None:
        """Wait until two batches of the waiting run have reported progress."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            tasks = self.airflow.task_instances(MEDIA, self.runs[MEDIA])
            running = [task for task in tasks if task["task_id"] == f"{GROUP}.copy" and task["state"] == "running"]
            reported = [self.progress(MEDIA, self.runs[MEDIA], task["task_id"], task["map_index"]) for task in running]
            if len(running) == 2 and all(one.get("current") for one in reported):
                return
            assert time.monotonic() < deadline, [(task["task_id"], task["map_index"], task["state"]) for task in tasks]
            time.sleep(0.5)
