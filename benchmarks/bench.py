"""The benchmark: this project and what a user would pick instead, side by side, in one run.

``python -m benchmarks.bench`` runs every client on every case, interleaved, three times, prints the tables and what
became of each target, and with ``--write`` keeps them as files. It ends with 1 if a client failed or did not deliver
what it should, with ``--check`` also if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.cases import LARGE, SMALL, TO_SINK, TO_SOURCE, Case, full, quick
from benchmarks.chart import svg
from benchmarks.clients import CLIENTS
from benchmarks.job import Job
from benchmarks.link import linked, prove
from benchmarks.measure import Cost
from benchmarks.report import fill, markdown, sections
from benchmarks.results import Results
from benchmarks.runner import BrokenRunError, run
from benchmarks.stand_ins import StandIns, stand_ins
from benchmarks.targets import Target, judge
from benchmarks.task import COPYING, TASKS, run_task

ROUNDS = 3
PROOFS = 5
"""How often a link may try to prove itself."""
DOCUMENT = Path("docs/performance.md")
"""The page that quotes the results; below the working directory."""
MIB = 1024 * 1024


def main() -> int:
    """Measure, print and store the results."""
    given = _arguments()
    # Otherwise the stand-ins would outlive a benchmark that is terminated.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    results = Results(is_quick=given.quick)
    cases = [case for case in (quick() if given.quick else full()) if case.id.startswith(given.only)]
    rounds = given.rounds or (1 if given.quick else ROUNDS)
    with (
        scratch_folder() as scratch,
        stand_ins() as near,
        stand_ins(tls=True) as secure,
        linked(near, TO_SOURCE, TO_SINK) as far,
    ):
        bench = _Bench(near, secure, far, results, scratch)
        if any(case.is_linked for case in cases):
            bench.prove_link()
        for number in range(rounds):
            for case in cases:
                for client in case.clients:
                    is_chosen = not given.clients or client in given.clients
                    if is_chosen and number < (1 if client in case.once else case.rounds):
                        bench.run_client(client, case, f"{number + 1}/{rounds}")
            if "task".startswith(given.only):
                bench.run_tasks()
            results.load.append(os.getloadavg()[0])
    targets = judge(results)
    report = markdown(results, targets)
    sys.stdout.write(f"\n{report}")
    if given.write:
        _write(given.write, results, targets, report)
    missed = given.check and not all(target.is_met for target in targets)
    return 1 if results.broken or missed else 0


def _arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description="Side by side with the others.")
    parser.add_argument("--quick", action="store_true", help="fewer bytes, one round: about four minutes")
    parser.add_argument("--check", action="store_true", help="end with 1 if a target is missed")
    parser.add_argument("--rounds", type=int, help=f"by default {ROUNDS}, quick 1")
    parser.add_argument("--only", default="", help="cases whose id begins so, such as 'large' or 'link'")
    parser.add_argument(
        "--clients", nargs="+", choices=CLIENTS, help="these alone, such as 'ours floor'; not together with --write"
    )
    parser.add_argument(
        "--write",
        type=Path,
        help="folder for latest.md, latest.json and performance.svg; the documentation's tables are replaced too",
    )
    given = parser.parse_args()
    if given.clients and given.write:
        parser.error("--write keeps the results of all clients: leave out --clients")
    return given


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder on the checkout's disk, not in /tmp, which may be memory: disk writes are counted."""
    root = Path(__file__).parent.parent / ".cache"
    root.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=root) as folder:
        yield Path(folder)


def _write(folder: Path, results: Results, targets: list[Target], report: str) -> None:
    """Write the results to files, and into the page that quotes them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.md").write_text(report)
    (folder / "latest.json").write_text(results.as_json([asdict(target) for target in targets]))
    if {LARGE, SMALL} <= results.runs.keys():
        (folder / "performance.svg").write_text(svg(results))
    DOCUMENT.write_text(fill(DOCUMENT.read_text(), sections(results, targets)))


class _Bench:
    """One run of the benchmark.

    :param near: the stand-ins
    :param secure: others, over TLS
    :param far: ``near`` behind the shaped link
    :param scratch: a folder on a disk
    """

    def __init__(self, near: StandIns, secure: StandIns, far: StandIns, results: Results, scratch: Path) -> None:
        self._near = near
        self._secure = secure
        self._far = far
        self._results = results
        self._scratch = scratch

    def prove_link(self) -> None:
        """Measure the shaped link; again if another process disturbed it."""
        for name, url, link, size in (
            ("to S3", self._far.source, TO_SOURCE, 25_000_000),
            ("to Azure", self._far.sink, TO_SINK, 0),
        ):
            proofs = (prove(url, link, size=size) for _ in range(PROOFS))
            proof = next((one for one in proofs if one.holds), None) or prove(url, link, size=size)
            self._results.links.append(f"{name}: {proof.describe()}")
            _log(f"shaped link {self._results.links[-1]}")
            if not proof.holds:
                self._broken(f"the shaped link {name} is not what it should be: {proof.describe()}")

    def run_client(self, client: str, case: Case, turn: str) -> None:
        """Run one case with one client once.

        :param turn: which round it is, for the log
        """
        counted = self._secure if case.is_tls else self._near
        servers = self._far if case.is_linked else counted
        job = Job(
            servers.source,
            servers.sink,
            "",
            case.objects // case.processes,
            case.size,
            connections=case.connections,
            block_size=case.block_size,
        )
        try:
            found = run(client, job, counted, self._scratch, processes=case.processes)
        except BrokenRunError as error:
            self._broken(f"{case.title}: {error}")
            return
        self._results.add(case, client, found)
        cost = found.cost
        _log(f"{turn} {case.title}: {client}: {cost.cpu:.2f} s CPU, {cost.seconds:.2f} s, {cost.memory / MIB:.0f} MiB")

    def run_tasks(self) -> None:
        """Run each kind of task once; before the first time once more, for bytecode and for Airflow's first start in its home."""
        inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPYCACHEPREFIX", "LANG") if name in os.environ}
        environment = {
            **inherited,
            "AIRFLOW_HOME": str(self._scratch / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "HOME": str(self._scratch),
            "TMPDIR": str(self._scratch),
            **self._near.airflow_connections(),
        }
        for name in TASKS:
            try:
                if not self._results.tasks.get(name):
                    self._run_task(name, environment)
                cost = self._run_task(name, environment)
            except BrokenRunError as error:
                self._broken(str(error))
                continue
            self._results.tasks.setdefault(name, []).append(cost)
            _log(f"{TASKS[name]}: {cost.cpu:.2f} s CPU, {cost.seconds:.2f} s")

    def _run_task(self, name: str, environment: dict[str, str]) -> Cost:
        container = f"task-{secrets.token_hex(6)}"
        self._near.create_container(container)
        try:
            cost = run_task(
                name, Job(self._near.source, self._near.sink, container, 1, MIB), environment, self._scratch
            )
            if name in COPYING and self._near.totals(container) != (1, MIB):
                raise BrokenRunError(f"{name} did not copy its object of 1 MiB")
        finally:
            self._near.delete_container(container)
        return cost

    def _broken(self, what: str) -> None:
        self._results.broken.append(what)
        _log(what)


def _log(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
