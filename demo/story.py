"""The demo's steps: each method is shown as a phase, and raises DemoError if its result is not the expected one."""

from __future__ import annotations

import shutil
import signal
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from azure.storage.blob import ContainerClient

from demo import audit, nightly, seed, verify
from demo.accident import Accident
from demo.nightly import Destination, Outcome, Round
from demo.screen import Phase, Progress, Screen, size_text
from demo.summary import Ledgers, connection_lines, show_accident, show_runs
from tests.servers import AirflowServer, AzureServer, S3Server
from tests.servers.process import Startable
from tests.servers.sessions import session_members

_DAG = Path(__file__).parent.parent / "dags" / f"{nightly.DAG_ID}.py"
_AUDIT = _DAG.with_name(f"{audit.DAG_ID}.py")
_ROUND_SECONDS = 300.0
_KILLED_AT_BLOCKS = 3
_UPLOADS = 4
_READERS = 8
_MOST = 10
"""Lines of a list in an error."""


class DemoError(Exception):
    """A result is not the expected one; the message names it and the log."""


class Demo:
    """One demo. On exit all servers are stopped; signals are ignored meanwhile."""

    def __init__(self, directory: Path, screen: Screen) -> None:
        self._directory = directory
        self._screen = screen
        self._callbacks = ExitStack()
        self._starts: dict[Startable, Future[None]] = {}
        self._objects = seed.all_objects()
        self._s3 = S3Server(directory)
        self._azure = AzureServer(directory)
        dags = directory / "dags"
        dags.mkdir()
        shutil.copy(_DAG, dags)  # alone: each file more is parsed again and again
        self._airflow = AirflowServer(
            directory,
            dags,
            {"aws_default": self._s3.airflow_connection(), "wasb_default": self._azure.airflow_connection()},
            {
                # The defaults of the trigger form.
                "S3_TO_AZURE_BUCKET": seed.EXPORTS,
                "S3_TO_AZURE_CONTAINER": seed.EXPORTS,
                "S3_TO_AZURE_DRY_RUN": "false",
                # A killed task is seen within a second.
                "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
                # All runs are the demo's own: once unpaused, last night's would start too.
                "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            },
            deferrable=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        with self._screen.phase("Stopping the servers", "stop") as phase:
            self._callbacks.close()
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda server: server.stop(), self._starts))
            phase.result = "All servers are stopped"

    def run(self) -> None:
        """Run all steps.

        :raises DemoError: if a result is not the expected one
        :raises ServerError: if a server does not start
        :raises nightly.RunFailed: if a run is not a success
        """
        self._screen.say("S3 to Azure with Airflow: a nightly sync, twice, on this machine", "bold")
        self._screen.say(f"Servers, data and logs are in {self._directory}", "dim")
        self._screen.say()
        self._start_servers()
        sizes = self._fill()
        first = self._run_first(sizes)
        ledgers = self._check_ledgers(first)
        self._check_resumed(ledgers)
        etags = self._prove(first)
        self._run_again(first, etags)
        self._audit(ledgers)
        show_runs(self._screen, first, ledgers)

    def keep(self) -> None:
        """Print the URLs and the connections, and wait for Ctrl-C."""
        screen = self._screen
        screen.heading("Everything is still running; press Ctrl-C to stop it. Open the first:")
        for name, where in (
            ("Airflow", f"{self._airflow.url}/dags/{nightly.DAG_ID}/plugin/transfers"),
            ("S3", self._s3.endpoint_url),
            ("Azurite", self._azure.endpoint),
            ("files", str(self._directory)),
        ):
            screen.raw(f"{name:<8} {where}")
        screen.say(f"Buckets and containers: {', '.join(seed.BUCKETS)}")
        screen.heading("Connections, to paste into a shell")
        for line in connection_lines(self._s3, self._azure):
            screen.raw(line)
        try:
            while True:
                signal.pause()
        except KeyboardInterrupt:
            self._screen.say()

    def end(self, *, hint: str) -> None:
        """Show the durations, and what to try next."""
        self._screen.heading("Seconds")
        seconds = self._screen.seconds
        rows = [*seconds, ("total", sum(one for _, one in seconds))]
        self._screen.table(("", ""), [(name, f"{one:.1f}") for name, one in rows], right=(1,))
        if hint:
            self._screen.say()
            self._screen.say(hint)

    def _start_servers(self) -> None:
        """Start all servers at once; each is waited for where it is needed."""
        pool = ThreadPoolExecutor(3)
        for server in (self._airflow, self._s3, self._azure):
            self._starts[server] = pool.submit(server.start)
        pool.shutdown(wait=False)
        with self._screen.phase("Starting S3, Azure and Airflow", "start S3 and Azure") as phase:
            self._starts[self._s3].result()
            self._starts[self._azure].result()
            phase.result = "S3 (LocalStack) and Azure Blob Storage (Azurite) are running"

    def _fill(self) -> dict[str, int]:
        """Return the bytes of each object by its key, once Airflow has the DAG and all objects are uploaded."""
        uploads: list[Future[int]] = []

        def progress() -> Progress:
            done = sum(upload.done() for upload in list(uploads))
            return Progress(f"{done:,} of {len(self._objects):,} objects uploaded")

        title = "Starting Airflow, uploading objects to S3"
        with (
            self._screen.phase(title, "start Airflow, upload objects", progress) as phase,
            _threads(_UPLOADS) as pool,
        ):
            client = self._s3.client(max_pool_connections=2 * _UPLOADS)
            uploads += seed.start_filling(client, self._s3.region, self._objects, pool)
            self._starts[self._airflow].result()
            self._airflow.wait_for_dag(nightly.DAG_ID)
            self._airflow.unpause(nightly.DAG_ID)
            sizes = [upload.result() for upload in uploads]
            large = [item.size for item in self._objects if item.is_large]
            phase.result = (
                f"Airflow is running; {len(seed.BUCKETS)} buckets hold {len(sizes):,} objects, {size_text(sum(sizes))}, "
                f"{len(large)} of them multipart uploads of {_mib(min(large))} to {_mib(max(large))} MiB"
            )
        return {item.key: size for item, size in zip(self._objects, sizes, strict=True)}

    def _run_first(self, sizes: Mapping[str, int]) -> list[Outcome]:
        """Return the first round's outcomes; each plan and each report must match what was uploaded."""
        destinations = {}
        for bucket in seed.BUCKETS:
            wanted = {item.key: sizes[item.key] for item in self._objects if item.bucket == bucket and item.copied}
            destinations[bucket] = Destination(self._azure, bucket, wanted)
        blob = self._azure.service_client(retry_total=0, read_timeout=10).get_blob_client(seed.MEDIA, seed.LARGEST_KEY)
        self._accident = Accident(
            airflow=self._airflow,
            dag_id=nightly.DAG_ID,
            task_id=nightly.COPY,
            blob=blob,
            blocks=_KILLED_AT_BLOCKS,
            note=self._screen.note,
        )
        self._callbacks.callback(self._accident.cancel)
        with self._round(
            "Running the nightly DAG; one copy will be killed", "first run", destinations, {seed.MEDIA: self._accident}
        ) as (
            phase,
            outcomes,
        ):
            self._accident.end()
            for outcome in outcomes:
                self._check_first(outcome, sizes)
            copied = sum(outcome.in_azure for outcome in outcomes)
            size = sum(outcome.plan["size"] for outcome in outcomes)
            phase.result = f"Copied: {copied:,} objects, {size_text(size)}, in {len(outcomes)} runs of the nightly DAG"
        return outcomes

    def _check_resumed(self, ledgers: Ledgers) -> None:
        (row,) = (row for row in ledgers[seed.MEDIA] if row["key"] == seed.LARGEST_KEY)
        if self._accident.staged and not row["resumed_blocks"]:
            raise DemoError(f"the copy that was killed resumed nothing: {dict(row)}")
        show_accident(self._screen, row, killed=self._accident.staged > 0)

    def _check_first(self, outcome: Outcome, sizes: Mapping[str, int]) -> None:
        bucket = outcome.run.bucket
        here = [item for item in self._objects if item.bucket == bucket]
        copied = [item for item in here if item.copied]
        size = sum(sizes[item.key] for item in copied)
        _require(f"the plan of {bucket}", outcome.plan, objects=len(here), size=size)
        _require(
            f"the report of {bucket}",
            {**outcome.report, "in_azure": outcome.in_azure},
            objects=len(here),
            in_azure=len(copied),
            skipped=len(here) - len(copied),
            failed=0,
        )

    def _check_ledgers(self, outcomes: Sequence[Outcome]) -> Ledgers:
        """Return the ledgers; each key must be in them once, with the expected status."""
        ledgers = {}
        for outcome in outcomes:
            bucket, url = outcome.run.bucket, outcome.report["ledger"]
            rows = ledgers[bucket] = nightly.read_ledger(self._container(bucket), url)
            found = Counter((row["key"], "copied" if row["status"] == "unchanged" else row["status"]) for row in rows)
            wanted = Counter(
                (item.key, "copied" if item.copied else "skipped") for item in self._objects if item.bucket == bucket
            )
            wrong = sorted((found - wanted) + (wanted - found))
            if wrong:
                raise DemoError(
                    f"the ledger does not match what was uploaded:{_listed(map(str, wrong))}\nledger: {url}"
                )
        return ledgers

    def _prove(self, outcomes: Sequence[Outcome]) -> dict[str, dict[str, str]]:
        """Read S3 and Azure again, and return the ETags of the blobs by container and name."""
        read = 0
        total = sum(outcome.plan["size"] for outcome in outcomes)

        def on_bytes(size: int) -> None:
            nonlocal read
            read += size

        def progress() -> Progress:
            return Progress(f"{size_text(read)} of {size_text(total)}")

        title = "Reading every object and every blob again"
        with self._screen.phase(title, "read and compare", progress) as phase, _threads(_READERS) as pool:
            client = self._s3.client(max_pool_connections=_READERS)
            proofs = []
            for bucket in seed.BUCKETS:
                skipped = {item.key for item in self._objects if item.bucket == bucket and not item.copied}
                proofs.append(
                    verify.compare(client, bucket, self._container(bucket), skipped, pool=pool, on_bytes=on_bytes)
                )
            if differences := [one for proof in proofs for one in proof.differences]:
                raise DemoError(f"{len(differences):,} differences between S3 and Azure:{_listed(differences)}")
            blobs, size = sum(proof.blobs for proof in proofs), sum(proof.size for proof in proofs)
            phase.result = (
                f"Verified: {blobs:,} blobs ({size_text(size)}) are byte-identical to their objects, by SHA-256, read with "
                "boto3 and Azure's SDK; content headers and metadata too"
            )
        return {bucket: verify.blob_etags(self._container(bucket)) for bucket in seed.BUCKETS}

    def _run_again(self, first: Sequence[Outcome], etags: Mapping[str, Mapping[str, str]]) -> None:
        """Run the DAG again; nothing may be copied."""
        shutil.copy(_AUDIT, self._directory / "dags")  # read meanwhile
        with self._round("Running the nightly DAG again", "second run") as (phase, second):
            for before, after in zip(first, second, strict=True):
                bucket = after.run.bucket
                _require(
                    f"the second report of {bucket}",
                    after.report,
                    objects=before.report["objects"],
                    copied=0,
                    unchanged=before.in_azure,
                    skipped=before.report["skipped"],
                    failed=0,
                    bytes_read=0,
                )
                moved = set(verify.blob_etags(self._container(bucket)).items()) ^ set(etags[bucket].items())
                if moved:
                    names = sorted({repr(name) for name, _ in moved})
                    raise DemoError(
                        f"the second run wrote blobs in {bucket}, though no object changed:{_listed(names)}"
                    )
            unchanged = sum(one.report["unchanged"] for one in second)
            skipped = sum(one.report["skipped"] for one in second)
            phase.result = (
                f"Unchanged: the same runs again copied 0 objects, {unchanged:,} were unchanged, {skipped} skipped; every "
                "blob has the ETag it had"
            )

    def _audit(self, ledgers: Ledgers) -> None:
        """Flip a bit of one blob, and audit its container: this blob must be found, and no other."""
        rows = [row for row in ledgers[seed.EXPORTS] if row["status"] != "skipped"]
        damaged = min((row for row in rows if row["size"]), key=lambda row: row["size"])["blob"]
        with self._screen.phase("Auditing a container in which one bit was flipped", "audit") as phase:
            self._airflow.wait_for_dag(audit.DAG_ID)
            self._airflow.unpause(audit.DAG_ID)
            with audit.flipped_bit(self._container(seed.EXPORTS), damaged):
                found = audit.audit(self._airflow, seed.EXPORTS, _ROUND_SECONDS, self._check_servers)
            blobs = len(rows)
            _require("the audit", found, objects=blobs, intact=blobs - 1, changed=1, missing=0, unknown=0, read=blobs)
            if [one["blob"] for one in found["failures"]] != [damaged]:
                raise DemoError(f"the audit found {found['failures']}, not {damaged!r}")
            phase.result = (
                f"Audited: {blobs:,} blobs ({size_text(found['bytes_read'])}) were read back and compared with their recorded "
                f"CRC-64, without S3; the one with a flipped bit was found: {damaged!r}"
            )

    @contextmanager
    def _round(
        self,
        title: str,
        name: str,
        destinations: Mapping[str, Destination] | None = None,
        accidents: Mapping[str, Accident] | None = None,
    ) -> Iterator[tuple[Phase, list[Outcome]]]:
        """Show a phase that runs the DAG for all buckets; the body begins when all runs have succeeded."""
        runs: list[Round] = []

        def progress() -> Progress:
            return runs[0].progress() if runs else Progress()

        with self._screen.phase(title, name, progress) as phase:
            runs.append(Round(self._airflow, seed.BUCKETS, destinations, accidents))
            yield phase, runs[0].wait(_ROUND_SECONDS, self._check_servers, self._screen.note)

    def _check_servers(self) -> None:
        for server in (self._s3, self._azure, self._airflow):
            if not session_members(server.process.pid):
                raise DemoError(f"{server.process.name} ended unexpectedly\nlog: {server.log}")

    def _container(self, name: str) -> ContainerClient:
        # Without the SDK's retries, which would take a minute if Azurite is down.
        return self._azure.service_client(retry_total=1).get_container_client(name)


@contextmanager
def _threads(count: int) -> Iterator[Executor]:
    """Open a thread pool whose pending work is cancelled when the body ends."""
    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _require(what: str, found: Mapping[str, Any], **wanted: int) -> None:
    wrong = [f"{name} is {found.get(name)}, not {value}" for name, value in wanted.items() if found.get(name) != value]
    if wrong:
        raise DemoError(f"{what} does not match what was uploaded: {'; '.join(wrong)}\nit has: {dict(found)}")


def _listed(lines: Any) -> str:
    every = list(lines)
    more = [f"… and {len(every) - _MOST:,} more"] if len(every) > _MOST else []
    return "".join(f"\n  {line}" for line in [*every[:_MOST], *more])


def _mib(size: int) -> int:
    return round(size / seed.MIB)
