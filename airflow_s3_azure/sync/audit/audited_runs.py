"""Finds the runs of syncs whose ledgers an audit trusts, and reads the rows of their ledgers.

A run is complete once it has a ``summary.json``. Where the summary lists the run's files with their digests, exactly those
files are read, and each is compared with its digest; so a ledger that was changed, or lost, is detected.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_s3_azure.engine.errors import ConfigurationError, UntrustedFile
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.audit.expectations import Expected
from airflow_s3_azure.sync.audit.truth import Runs
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.json_blob import read_json_blob
from airflow_s3_azure.sync.key_ranges import ServiceOrder
from airflow_s3_azure.sync.ledger import ROOT
from airflow_s3_azure.sync.lines_reader import MissingFile, etag_of, read_lines
from airflow_s3_azure.sync.listing import list_blobs
from airflow_s3_azure.sync.rows import JsonObject, ledger_row_from_json, request_from_json
from airflow_s3_azure.sync.run_files import files_digest

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from airflow_s3_azure.engine.azure.container import BlobContainer

log = get_logger(__name__)

_PLAN = r"\d{8}T\d{6}Z-[0-9a-f]{16}(?:-\d{5})?"
_SUMMARY = re.compile(rf"{ROOT}/(?P<dag>[^/]+)/(?P<run>.+)/(?P<group>[^/]+)/(?P<plan>{_PLAN})/summary\.json")
_SHA256 = re.compile("[0-9a-f]{64}")
_FILES = re.compile(rf"(?<=/)({_PLAN})/(?:ledger(?:/.*)?|[^/]+\.jsonl?)\Z")
"""The folder of a plan in a URL, and what follows it."""
_PART = re.compile(rf"{_PLAN}/ledger/.*")
"""A part of a ledger, below the folder of its group."""
_BATCH_PART = re.compile(rf"{_PLAN}/ledger/\d+\.jsonl(?:\.gz)?")
_MANIFEST = re.compile(rf"{_PLAN}/manifest\.jsonl")


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

    @property
    def sync(self) -> tuple[str, str]:
        """Which sync this is a run of."""
        return self.dag_id, self.group_id


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """A run whose ledger is the truth.

    :param ledger: its URL, by the summary
    :param files: of the run, by the summary; None: it lists none
    :param digest: of that list; None: unknown
    :param is_confirmed: whether the digest is the one that the report of the run returned
    """

    run: SyncRun
    ledger: str
    files: list[dict[str, Any]] | None
    digest: str | None
    is_confirmed: bool

    def as_json(self) -> dict[str, Any]:
        """Return the run as the totals of an audit name it."""
        run = self.run
        return {
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "group_id": run.group_id,
            "summary": run.name,
            "files_digest": self.digest,
            "is_confirmed": self.is_confirmed,
        }


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
    path = _FILES.sub(r"\1", path.strip("/")).removeprefix(f"{ROOT}/")
    return f"{ROOT}/{path}/" if path not in ("", ROOT) else f"{ROOT}/"


def find_runs(
    client: ContainerClient, blobs: BlobContainer, prefix: str, runs: Runs, until: str = ""
) -> list[tuple[SyncRun, dict[str, Any]]]:
    """Return the runs under a prefix that are the truth, with their summaries, the oldest first.

    Dry runs are left out.

    :param runs: ``newest``: of each sync its newest complete run; ``all``: all of them
    :param until: only runs planned by then; a plan's name; empty: any
    :raises ConfigurationError: if there is none
    """
    listed = (SyncRun.of_name(name) for name in _names(blobs, prefix))
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


def confirmed_run(run: SyncRun, summary: Mapping[str, Any], trusted: str | None) -> AuditedRun:
    """Return a run with the files of its ledger, after the list of its files was compared with its digest.

    :param trusted: the digest that the report of the run returned, from outside of the container; None: unknown
    :raises UntrustedFile: if the list is not the one of the report, or not that of its own digest
    """
    files = _listed_files(run, summary)
    found = None if files is None else files_digest(files)
    for expected, whose in (
        (trusted, "the report of the run returned"),
        (summary.get("files_digest"), "it says itself"),
    ):
        if expected is not None and found != expected:
            raise UntrustedFile(
                f"it was changed after the run: the digest of its list of files is {found}, but {whose} "
                f"{str(expected)[:64]}; restore it, or compare with another run",
                blob=run.name,
            )
    return AuditedRun(run, str(summary.get("ledger") or ""), files, found, is_confirmed=trusted is not None)


def _listed_files(run: SyncRun, summary: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the files that a summary lists; None if it is of an earlier version.

    :raises UntrustedFile: if no sync can have written the list
    """
    files = summary.get("files")
    if files is None:
        return None
    if type(files) is not list or not all(_is_file(one, run.group_folder) for one in files):
        raise UntrustedFile("its list of files cannot be one that was written", blob=run.name)
    return files


def _is_file(one: Any, folder: str) -> bool:
    if type(one) is not dict:
        return False
    name, rows, digest = one.get("name"), one.get("rows"), one.get("sha256")
    is_known = digest is None or (type(digest) is str and _SHA256.fullmatch(digest) is not None)
    return type(name) is str and name.startswith(folder) and type(rows) is int and is_known


def expected_blobs(
    client: ContainerClient, blobs: BlobContainer, audited: AuditedRun
) -> Iterator[tuple[str, Expected]]:
    """Yield blob name and content of each row of a run's ledger, in any order; then those of keys that may lack one.

    :raises UntrustedFile: if a file is not what the sync wrote
    """
    for row in ledger_rows(client, blobs, audited):
        yield row["blob"], Expected.of_row(row)
    for name, rows, digest in _manifests_without_results(audited):
        for request in _read(client, name, rows, digest, request_from_json):
            yield request.blob, Expected.without_row(request)


def ledger_rows(client: ContainerClient, blobs: BlobContainer, audited: AuditedRun) -> Iterator[JsonObject]:
    """Yield each row of a run's ledger, in any order.

    :raises UntrustedFile: if a file is not what the sync wrote
    """
    for name, rows, digest in _ledger_parts(blobs, audited):
        yield from _read(client, name, rows, digest, ledger_row_from_json)


def _read(
    client: ContainerClient, name: str, rows: int, digest: str | None, parse: Callable[[Any], Any]
) -> Iterator[Any]:
    """Yield the rows of a file of a run.

    :raises UntrustedFile: if it is not what the sync wrote
    """
    expected = None
    if digest is not None and (etag := etag_of(client, name)) is not None:
        expected = Fingerprint(etag, b64encode(bytes.fromhex(digest)[:24]).decode("ascii"), rows)
    try:
        yield from read_lines(client, name, expected=expected, parse=parse)
    except UntrustedFile as error:
        problem = error.message.partition("; clear")[0]
        raise UntrustedFile(
            f"the ledger was changed after the run: {problem}; restore this version of it, or compare with another run",
            blob=name,
        ) from None
    except MissingFile:
        raise UntrustedFile(
            "a file of the ledger is gone; restore it, or compare with another run", blob=name
        ) from None


def _manifests_without_results(audited: AuditedRun) -> list[tuple[str, int, str | None]]:
    """Return the manifests of a run, if its batches' parts of the ledger have fewer rows: a batch was killed."""
    files = {one["name"].removeprefix(audited.run.group_folder): one for one in audited.files or ()}
    manifests = [one for name, one in files.items() if _MANIFEST.fullmatch(name)]
    results = sum(one["rows"] for name, one in files.items() if _BATCH_PART.fullmatch(name))
    if results >= sum(one["rows"] for one in manifests):
        return []
    return [(one["name"], one["rows"], one["sha256"]) for one in manifests]


def _ledger_parts(blobs: BlobContainer, audited: AuditedRun) -> Iterator[tuple[str, int, str | None]]:
    """Yield name, rows and SHA-256 (None: unknown) of the parts of a run's ledger."""
    run = audited.run
    if audited.files is not None:
        for one in audited.files:
            if _PART.fullmatch(one["name"].removeprefix(run.group_folder)):
                yield one["name"], one["rows"], one["sha256"]
        return
    path = ledger_prefix(audited.ledger)
    if not path.startswith(run.group_folder):
        raise UntrustedFile(f"its ledger is {path!r}, which is not in the folder of its run", blob=run.name)
    log.warning("the summary of run %r lists no files: its ledger is read without digests", run.run_id)
    for name in _names(blobs, path):
        if _PART.fullmatch(name.removeprefix(run.group_folder)) and name.endswith((".jsonl", ".jsonl.gz")):
            yield name, 0, None


def _names(blobs: BlobContainer, prefix: str) -> Iterator[str]:
    """Yield the names under a prefix, in whatever order the service lists them."""
    return (name for name, _ in list_blobs(blobs, prefix, order=ServiceOrder(is_by_name=False)))
