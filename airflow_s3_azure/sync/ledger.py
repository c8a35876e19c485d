"""The manifest and the ledger: JSON lines in the destination container, one line per key.

Each plan owns a folder, below that of its run::

    _s3_to_azure/<dag_id>/<run_id>/<group_id>/
        <time of the plan>-<16 random hexadecimal digits>/
            manifest.jsonl          what is to be copied; each batch is a range of its lines
            delete.jsonl            blobs to delete, if the sync deletes
            ledger/plan.jsonl.gz    keys that need no copy: unchanged, skipped
            ledger/00000.jsonl.gz   the results of batch 0's keys
            ledger/delete.jsonl.gz  the results of the deletions
            summary.json            the run's totals; of several plans, in the folder of the first

Earlier versions of this package did not compress the ledger: ``ledger/plan.jsonl``. Such a part is read, and continued as it is.

No two plans share a folder, not even those of two Airflow deployments that run the same DAG at the same second. Spark and
Hive skip the folder because its name begins with ``_``.

The container is untrusted (docs/decisions/0009-the-container-is-untrusted.md). A writer puts the :class:`~airflow_s3_azure.sync.fingerprint.Fingerprint` of its
file into XCom, and readers accept only the file with that fingerprint.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.engine.azure.blob_names import RESERVED, why_invalid
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import PlanError, UntrustedFile
from airflow_s3_azure.engine.model import CopyRequest, Precondition
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.fingerprint import Fingerprint
from airflow_s3_azure.sync.json_blob import write_json_blob
from airflow_s3_azure.sync.lines_reader import MissingFile, etag_of, read_lines
from airflow_s3_azure.sync.lines_writer import LinesWriter
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.rows import JsonObject, deletion_from_json, ledger_row_from_json, request_from_json
from airflow_s3_azure.sync.spool import BlobSpool, EntrySpool, ObjectSpool

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = get_logger(__name__)

ROOT = RESERVED
_MAP_INDEX = re.compile(r"/[^/-]+-[0-9a-f]{16}-([0-9]{5,})\Z")
NEW = Precondition(None)
"""A plan creates its files; it never replaces one."""


def folder_name(started: datetime, map_index: int | None = None) -> str:
    """Return a new name for a plan's folder. Names sort by time; no two are equal.

    :param map_index: of the plan's task, if it is mapped
    """
    name = f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
    return name if map_index is None or map_index < 0 else f"{name}-{map_index:05d}"


def run_folder(dag_id: str, run_id: str) -> str:
    """Return the path of the folder that holds those of a run's plans."""
    return f"{ROOT}/{dag_id}/{run_id}"


def checked_path(path: str, what: str) -> str:
    """Return the name of a folder, made of the IDs of a DAG, a run and a group or a task.

    :param what: whose folder it is
    :raises PlanError: if such a name would leave the folder of records, or Azure cannot hold it
    """
    refused = why_invalid(path) if path.startswith(f"{RESERVED}/") else f"it is not below {RESERVED}/"
    if refused:
        raise PlanError(f"{path!r} cannot be the folder of a {what}: {refused}; trigger the run with another run ID")
    return path


def map_index_of(path: str) -> int | None:
    """Return the map index of the task that made a plan, from the path of its folder; None if it was not mapped."""
    found = _MAP_INDEX.search(path)
    return int(found[1]) if found else None


class PlanFolder:
    """One plan's folder in a container.

    :param client: of the container
    :param path: the folder's name, without a slash at the end; made of the IDs of the DAG, the run and the group
    :param cancellation: ends the wait for a retry of every write
    :raises PlanError: if such a name would leave the folder of records, or Azure cannot hold it
    """

    def __init__(self, client: ContainerClient, path: str, cancellation: Cancellation | None = None) -> None:
        self._client = client
        self.path = checked_path(path, "plan")
        self._cancellation = cancellation

    @property
    def url(self) -> str:
        """The folder's URL, without any credential."""
        return f"{self.blob_url(self.path)}/"

    @property
    def ledger_url(self) -> str:
        """The URL of the ledger's parts, without any credential."""
        return f"{self.url}ledger/"

    @property
    def manifest_name(self) -> str:
        """The blob name of the list of what is to be copied."""
        return f"{self.path}/manifest.jsonl"

    @property
    def deletions_name(self) -> str:
        """The blob name of the list of the blobs to delete."""
        return f"{self.path}/delete.jsonl"

    def new_manifest(self) -> LinesWriter:
        """Return a writer that creates the list of what is to be copied."""
        return self._writer(self.manifest_name, NEW)

    def read_manifest(self, reference: BatchReference) -> Iterator[CopyRequest]:
        """Yield what a batch is to copy.

        :raises UntrustedFile: if the manifest is not the one that the plan wrote, or no plan can have written it
        """
        start = reference.start
        for stop, rows, digest in reference.ranges:
            yield from read_lines(
                self._client,
                self.manifest_name,
                start,
                stop,
                expected=Fingerprint(reference.etag, digest, rows),
                parse=partial(request_from_json, prefix=reference.prefix),
            )
            start = stop

    def new_ledger(self, part: str, precondition: Precondition | None = NEW) -> LinesWriter:
        """Return a writer of one part of the ledger: ``plan``, ``delete``, or a batch's five digits.

        :param precondition: of its first commit; None: an earlier try's part is replaced
        """
        return self._writer(self.part_name(part), precondition)

    def continue_ledger(self, part: str) -> LinesWriter | None:
        """Return a writer that replaces an earlier execution's part of the ledger; None if there is none.

        Its first commit is conditional on the part as it is now, and changes its ETag: then the earlier execution, if it
        still runs, can no longer commit.
        """
        for name in self.part_names(part):
            etag = etag_of(self._client, name)
            if etag is not None:
                return self._writer(name, Precondition(etag))
        return None

    def read_ledger(self, part: str, expected: Fingerprint) -> Iterator[dict[str, Any]]:
        """Yield the rows of one part of the ledger.

        :raises UntrustedFile: if it is not what the task wrote that returned the fingerprint
        """
        return self._read_part(part, expected=expected)

    def read_unconfirmed_ledger(self, part: str, most_rows: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of one part of the ledger without a fingerprint; none if it was never written.

        Anyone with write access to the container may have written them.

        :raises UntrustedFile: if this package cannot have written them
        """
        with suppress(MissingFile):
            yield from self._read_part(part, most_rows=most_rows)

    def _read_part(self, part: str, **options: Any) -> Iterator[dict[str, Any]]:
        name, earlier_name = self.part_names(part)
        try:
            yield from read_lines(self._client, name, parse=ledger_row_from_json, **options)
        except (MissingFile, UntrustedFile):  # a missing blob also fails the condition on its ETag, in Azurite
            if etag_of(self._client, earlier_name) is None:
                raise
            yield from read_lines(self._client, earlier_name, parse=ledger_row_from_json, **options)

    def part_name(self, part: str) -> str:
        """Return the blob name of one part of the ledger."""
        return self.part_names(part)[0]

    def part_names(self, part: str) -> tuple[str, str]:
        """Return the blob name of one part of the ledger, and the one that earlier versions of this package gave it."""
        earlier_name = f"{self.path}/ledger/{part}.jsonl"
        return f"{earlier_name}.gz", earlier_name

    def blob_url(self, name: str) -> str:
        """Return the URL of a blob of the container, without any credential."""
        return f"{self._client.url.partition('?')[0]}/{name}"

    def new_deletions(self) -> LinesWriter:
        """Return a writer that creates the list of the blobs to delete."""
        return self._writer(self.deletions_name, NEW)

    def read_deletions(self, expected: Fingerprint, prefix: str) -> Iterator[JsonObject]:
        """Yield the blobs to delete: ``key``, ``blob``, ``size``, ``blob_etag``, ``last_modified``.

        :param prefix: of the plan's blobs
        :raises UntrustedFile: if the list is not the one that the plan wrote, or no plan can have written it
        """
        return read_lines(
            self._client,
            self.deletions_name,
            expected=expected,
            parse=partial(deletion_from_json, prefix=prefix),
        )

    def write_summary(self, summary: JsonObject) -> str:
        """Write the run's totals into the plan's folder; return their URL, without any credential."""
        return write_json_blob(self._client, f"{self.path}/summary.json", summary)

    def source_spool(self) -> ObjectSpool:
        """Return where segments of a sorted source listing wait to be merged."""
        return ObjectSpool(self._client, f"{self.path}/sort/source-{secrets.token_hex(4)}", self._cancellation)

    def entry_spool(self) -> EntrySpool:
        """Return where segments of a sorted list of keys wait to be merged."""
        return EntrySpool(self._client, f"{self.path}/sort/keys-{secrets.token_hex(4)}", self._cancellation)

    def destination_spool(self) -> BlobSpool:
        """Return where segments of a sorted destination listing wait to be merged."""
        return BlobSpool(self._client, f"{self.path}/sort/destination-{secrets.token_hex(4)}", self._cancellation)

    def _writer(self, name: str, precondition: Precondition | None) -> LinesWriter:
        return LinesWriter(self._client, name, precondition, cancellation=self._cancellation)
