"""Finds the runs of syncs whose ledgers an audit trusts, and reads the rows of their ledgers.

A run is complete once it has a ``summary.json``. Where the summary lists the run's files with their digests, exactly those
files are read, and each is compared with its digest; so a ledger that was changed, or lost, is detected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_s3_azure.engine.errors import ConfigurationError, UntrustedFile
from airflow_s3_azure.engine.progress import count_text
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.audit.expectations import Expected
from airflow_s3_azure.sync.audit.truth import Runs
from airflow_s3_azure.sync.json_blob import read_json_blob
from airflow_s3_azure.sync.ledger import ROOT
from airflow_s3_azure.sync.lines_reader import read_lines
from airflow_s3_azure.sync.listing import list_blobs
from airflow_s3_azure.sync.rows import ledger_row_from_json

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = get_logger(__name__)

_SUMMARY = re.compile(
    rf"{ROOT}/(?P<dag>[^/]+)/(?P<run>.+)/(?P<group>[^/]+)/(?P<plan>\d{{8}}T\d{{6}}Z-[0-9a-f]{{16}}(?:-\d{{5}})?)/summary\.json"
)
_FILES = re.compile(r"/(?:ledger(?:/.*)?|[^/]+\.jsonl?)\Z")
"""What follows the folder of a plan in a URL."""


@dataclass(frozen=True, slots=True)
class SyncRun:
    """A complete run of a sync.

    :param group_id: of the sync's task group
    :param plan: the name of the plan's folder, which begins with the time of the plan
    :param name: of its summary
    """

    dag_id: str
    run_id: str
    group_id: str
    plan: str
    name: str

    @classmethod
    def of_name(cls, name: str) -> SyncRun | None:
        """Return the run of which a blob is the summary; None if it is none."""
        match = _SUMMARY.fullmatch(name)
        return None if match is None else cls(match["dag"], match["run"], match["group"], match["plan"], name)

    @property
    def group_folder(self) -> str:
        """The folder of the group's plans in this run, with a slash at its end."""
        return self.name.removesuffix(f"{self.plan}/summary.json")

    def as_json(self) -> dict[str, str]:
        """Return the run as the totals of an audit name it."""
        return {"dag_id": self.dag_id, "run_id": self.run_id, "group_id": self.group_id, "summary": self.name}

    @property
    def sync(self) -> tuple[str, str]:
        """Which sync this is a run of."""
        return self.dag_id, self.group_id


def ledger_prefix(ledger: str) -> str:
    """Return the prefix of the records of a DAG, of one of its runs, or of all; it ends with a slash.

    :param ledger: the ID of a DAG, optionally ``/`` and the ID of a run; or the URL of a ledger; empty: all
    :raises ConfigurationError: if it is a URL of something else
    """
    path = ledger.strip()
    if "://" in path:
        parts = unquote(urlsplit(path).path)
        _, found, path = parts.partition(f"/{ROOT}/")
        if not found:
            raise ConfigurationError(
                f"ledger is {ledger!r}, which has no {ROOT}/ in it; it takes the ID of a DAG, such as 's3_to_azure_nightly', "
                "'<dag_id>/<run_id>' for one run, or the URL that the report of a run has in its XCom"
            )
    path = _FILES.sub("", path.strip("/")).removeprefix(f"{ROOT}/")
    return f"{ROOT}/{path}/" if path not in ("", ROOT) else f"{ROOT}/"


def find_runs(
    client: ContainerClient, prefix: str, runs: Runs, until: str = ""
) -> list[tuple[SyncRun, dict[str, Any]]]:
    """Return the runs under a prefix that are the truth, with their summaries, the oldest first.

    Dry runs are left out.

    :param runs: ``newest``: of each sync its newest complete run; ``all``: all of them
    :param until: only runs planned by then; a plan's name; empty: any
    :raises ConfigurationError: if there is none
    """
    listed = (SyncRun.of_name(name) for name, _ in list_blobs(client, prefix))
    complete = sorted(
        (run for run in listed if run is not None and (not until or run.plan <= until)),
        key=lambda run: run.plan,
        reverse=True,
    )
    found: list[tuple[SyncRun, dict[str, Any]]] = []
    seen: set[tuple[str, str]] = set()
    for run in complete:
        if runs == "newest" and run.sync in seen:
            continue
        summary = read_json_blob(client, run.name)
        if summary.get("dry_run"):
            continue
        seen.add(run.sync)
        found.append((run, summary))
    if not found:
        raise ConfigurationError(
            f"there is no complete run of a sync under {prefix}: no summary.json of a run that was not dry; check ledger "
            "and container_name, or use compare_with='records'"
        )
    return found[::-1]


def ledger_rows(client: ContainerClient, run: SyncRun, summary: Mapping[str, Any]) -> Iterator[tuple[str, Expected]]:
    """Yield blob name and content of each row of a run's ledger, in any order.

    :raises UntrustedFile: if a file is not what the sync wrote
    """
    for name in _ledger_parts(client, run, summary):
        for row in read_lines(client, name, parse=ledger_row_from_json):
            yield row["blob"], Expected.of_row(row)


def _ledger_parts(client: ContainerClient, run: SyncRun, summary: Mapping[str, Any]) -> Iterable[str]:
    """Return the names of the parts of a run's ledger, by listing them: the summary names no files."""
    path = ledger_prefix(str(summary.get("ledger") or ""))
    if not path.startswith(run.group_folder):
        raise UntrustedFile(f"its ledger is {path!r}, which is not in the folder of its run", blob=run.name)
    names = [
        name for name, _ in list_blobs(client, path) if "/ledger/" in name and name.endswith((".jsonl", ".jsonl.gz"))
    ]
    log.info(
        "the summary of run %r lists no files: %s read without a digest", run.run_id, count_text(len(names), "file")
    )
    return names
