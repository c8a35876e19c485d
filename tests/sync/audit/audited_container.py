"""A container of copies with the ledgers of their syncs, written as a sync writes them, and audits of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import SansIOHTTPPolicy
from requests import Session

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import compute, s3_text
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.audit.audit_ledger import Checkpoint
from airflow_s3_azure.sync.audit.auditor import Audit, AuditOptions
from airflow_s3_azure.sync.audit.content_reader import ContentReader, Partial
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.rows import ledger_row, request_as_json
from airflow_s3_azure.sync.run_files import files_digest, run_files

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

BUCKET = "source"
START = datetime(2026, 11, 1, 2, tzinfo=UTC)


def crc64(body: bytes) -> str:
    """Return the CRC-64/NVME of bytes as S3 writes it."""
    return s3_text("CRC64NVME", compute("CRC64NVME", memoryview(body)))


@dataclass
class KeptCheckpoints:
    """Checkpoints in memory; ``all`` are those that were saved."""

    last: Checkpoint | None = None
    all: list[Checkpoint] = field(default_factory=list)

    def load(self) -> Checkpoint | None:
        """Return the last one."""
        return self.last

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep it."""
        self.last = checkpoint
        self.all.append(checkpoint)

    def clear(self) -> None:
        """Forget it."""
        self.last = None


class AuditedContainer:
    """Copies in a container, the ledgers of their syncs, and audits.

    :ivar unrecorded: the container, for requests that are no reads of blobs
    :ivar ranges: the blob and the range of each read, in any order
    :ivar reported: the digests that the reports of runs returned, by the run's ID
    :ivar digests: the digests of the runs' files, by the run's ID
    """

    def __init__(self, client: ContainerClient) -> None:
        self.client = client
        self.checkpoints = KeptCheckpoints()
        self.ranges: list[tuple[str, str]] = []
        self.reported: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.before_read: Callable[[str], object] = lambda blob: None
        self.cancellation = Cancellation()
        self._plans = count()
        self._session = Session()
        self.unrecorded = self._blobs()

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def put(self, blob: str, body: bytes, *, has_crc64: bool = True, **changes: Any) -> CopyResult:
        """Write a copy with its record; return the row of its sync.

        :param changes: of the row
        """
        record = SourceRecord(
            etag=f"etag of {crc64(body)}",
            size=len(body),
            identity=str(CopyIdentity(BUCKET, f"key/{blob}", blob)),
            crc64nvme=crc64(body) if has_crc64 else None,
        )
        etag = self.write(blob, body, record.as_metadata())
        row = CopyResult(f"key/{blob}", blob, "copied", size=len(body), etag=record.etag, blob_etag=etag)
        row = replace(row, verified="crc64nvme", crc64nvme=record.crc64nvme)
        return replace(row, **changes)

    def write(self, blob: str, body: bytes, metadata: dict[str, str] | None = None) -> str:
        """Write a blob with a record or without one; return its ETag."""
        written = self.client.upload_blob(blob, body, overwrite=True, metadata=metadata)
        return str(written.get_blob_properties().etag)

    def flip(self, blob: str) -> None:
        """Flip a bit in a committed blob; its size and its record stay."""
        body = bytearray(self.client.download_blob(blob).readall())
        body[secrets.randbelow(len(body))] ^= 1 << secrets.randbelow(8)
        metadata = self.client.get_blob_client(blob).get_blob_properties().metadata
        self.write(blob, bytes(body), metadata)

    def sync(
        self,
        *rows: CopyResult | dict[str, Any],
        dag_id: str = "nightly",
        run_id: str = "run",
        group_id: str = "s3_to_azure",
        killed: Sequence[CopyResult] = (),
        **summary: Any,
    ) -> PlanFolder:
        """Write the ledger of a complete run: the first row as the plan's part, the others as that of a batch.

        :param killed: rows of a batch that was killed: only the manifest has its keys
        """
        number = next(self._plans)
        plan = f"{START + timedelta(days=number):%Y%m%dT%H%M%SZ}-{number:016x}"
        folder = PlanFolder(self.client, f"_s3_to_azure/{dag_id}/{run_id}/{group_id}/{plan}")
        manifest = folder.new_manifest()
        for row in (*rows[1:], *killed):
            found = row if isinstance(row, dict) else ledger_row(row)
            if found["key"] is not None:
                manifest.write(request_as_json(CopyRequest(found["key"], found["blob"], found["size"], found["etag"])))
        manifest.commit()
        files = {folder.manifest_name: manifest.fingerprint()}
        for part, chosen in (("plan", rows[:1]), ("00000", rows[1:])):
            ledger = folder.new_ledger(part)
            for row in chosen:
                ledger.write(row if isinstance(row, dict) else ledger_row(row))
            ledger.commit()
            files[folder.part_name(part)] = ledger.fingerprint()
        listed = run_files(files)
        digest = files_digest(listed)
        folder.write_summary(
            {"ledger": folder.ledger_url, "dry_run": False, "files": listed, "files_digest": digest, **summary}
        )
        self.digests[run_id] = str(digest)
        return folder

    def begin(
        self, options: AuditOptions | None = None, *, threads: int = 4, range_size: int = 1024, **reader: Any
    ) -> Audit:
        """Return an audit that continues from the checkpoint, or begins."""
        blobs = self._blobs(_Recorder(self))

        def new_reader(resumed: Partial | None) -> ContentReader:
            arguments: dict[str, Any] = {"retry": RetryPolicy(first_wait=0.0, max_wait=0.0), **reader}
            return ContentReader(
                blobs,
                self.cancellation,
                max_concurrency=threads,
                range_size=range_size,
                resumed=resumed,
                **arguments,
            )

        return Audit(
            self.client,
            self.unrecorded,
            options or AuditOptions(),
            self.checkpoints,
            self.cancellation,
            new_folder=lambda: f"_s3_to_azure/audits/run/audit/20261130T000000Z-{secrets.token_hex(8)}",
            reported_digest=lambda run: self.reported.get(run.run_id),
            new_reader=new_reader,
        )

    def _blobs(self, *policies: Any) -> BlobContainer:
        connections = Connections(self._session, self.cancellation, connect_timeout=20.0, read_timeout=60.0)
        pipeline: Pipeline[Any, Any] = Pipeline(ConnectionsTransport(connections), [*policies, self.client.credential])
        return BlobContainer(ContainerAddress(self.client.url), pipeline, self.cancellation)

    def audit(self, options: AuditOptions | None = None, **arguments: Any) -> Audit:
        """Run an audit to its end."""
        audit = self.begin(options, **arguments)
        audit.run()
        return audit

    def rows(self, audit: Audit) -> dict[str, dict[str, Any]]:
        """Return the audit's ledger, by blob."""
        name = audit.ledger_url.removeprefix(f"{self.client.url}/")
        lines = self.client.download_blob(name).readall().splitlines()
        found = {row["blob"]: row for row in map(json.loads, lines)}
        assert list(found) == sorted(found)
        assert len(found) == len(lines)
        return found

    def statuses(self, audit: Audit) -> dict[str, str]:
        """Return each blob's status by the audit's ledger."""
        return {blob: row["status"] for blob, row in self.rows(audit).items()}


class _Recorder(SansIOHTTPPolicy[Any, Any]):
    def __init__(self, container: AuditedContainer) -> None:
        self._container = container

    def on_request(self, request: Any) -> None:
        sent = request.http_request
        if sent.method == "GET":
            blob = sent.url.partition("?")[0].removeprefix(f"{self._container.client.url}/")
            self._container.before_read(blob)
            self._container.ranges.append((blob, sent.headers["x-ms-range"]))
