"""Plans in memory, for tests: listings in, a plan and what it wrote out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.model import BlobState, CopyRequest
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, Plan, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.fakes.memory_container import MemoryContainer

UPLOADED = datetime(2026, 11, 1, 12, tzinfo=UTC)
LATER = UPLOADED + timedelta(hours=1)
BUCKET = "bucket"
RESERVED_KEYS = ["_s3_to_azure/dag/x", "/_s3_to_azure/dag/x", "_S3_TO_AZURE/dag/x", "%5fs3_to_azure/dag/x"]
PATH = "_s3_to_azure/dag/run/group/time"


class Made:
    """A plan, and what it wrote into a container in memory."""

    def __init__(
        self,
        objects: Sequence[ListedObject],
        blobs: Sequence[tuple[str, BlobState]],
        options: PlanOptions,
        *,
        are_sorted: tuple[bool, bool] = (True, True),
        cancellation: Cancellation | None = None,
    ) -> None:
        self.container = MemoryContainer()
        self.folder = PlanFolder(self.container.as_client(), PATH)
        self.listed = {"source": 0, "destination": 0}
        self.plan: Plan = make_plan(
            Listing(self._listing("source", objects), are_sorted[0]),
            Listing(self._listing("destination", blobs), are_sorted[1]),
            options,
            self.folder,
            cancellation,
        )

    def _listing(self, endpoint: str, entries: Sequence[Any]) -> Callable[[], Iterator[Any]]:
        def begin() -> Iterator[Any]:
            self.listed[endpoint] += 1
            return iter(entries)

        return begin

    @property
    def batches(self) -> list[list[CopyRequest]]:
        """What each batch is to copy."""
        return [list(self.folder.read_manifest(one)) for one in self.plan.batches]

    @property
    def to_copy(self) -> list[CopyRequest]:
        """The requests of all batches, in order."""
        return [request for batch in self.batches for request in batch]

    @property
    def settled(self) -> list[dict[str, Any]]:
        """The plan's part of the ledger."""
        return list(self.folder.read_ledger("plan", self.plan.needs_no_copy))

    @property
    def deletions(self) -> list[str]:
        """The blobs that are to be deleted."""
        return [row["blob"] for row in self.deletion_rows]

    @property
    def deletion_rows(self) -> list[Mapping[str, Any]]:
        """The list of blobs to delete."""
        assert self.plan.deletions is not None
        return list(self.folder.read_deletions(self.plan.deletions, ""))

    @property
    def statuses(self) -> dict[str, str]:
        """What was settled of each key, and which keys are to be copied."""
        return {row["key"]: row["status"] for row in self.settled} | {one.key: "copy" for one in self.to_copy}


def listed(key: str, size: int = 5, etag: str = "etag", modified: datetime = UPLOADED) -> ListedObject:
    """Return a line of the source's listing."""
    return ListedObject(key, size, etag, modified)


def copied(size: int = 5, etag: str = "etag", blob_etag: str = '"blob"') -> BlobState:
    """Return a blob of ours in the destination's listing."""
    return BlobState(blob_etag, size, LATER, SourceRecord(etag, size))


def owned(name: str, state: BlobState) -> BlobState:
    """Return a blob of ours with a record that names its object, of the same name, and the blob."""
    if state.record is None or state.record.identity is not None:
        return state
    return replace(state, record=replace(state.record, identity=str(CopyIdentity(BUCKET, name, name))))


THEIRS = BlobState('"theirs"', 5, LATER)


def plan(
    objects: Iterable[ListedObject],
    blobs: Mapping[str, BlobState] | None = None,
    *,
    selection: Selection | None = None,
    naming: Naming | None = None,
    **options: Any,
) -> Made:
    """Make a plan in memory of listings that come in order; of a mirror, the blobs' records name their objects."""
    found = {name: owned(name, state) if options.get("delete") else state for name, state in (blobs or {}).items()}
    options.setdefault("bucket", BUCKET)
    return Made(
        sorted(objects, key=lambda one: one.key),
        sorted(found.items()),
        PlanOptions(selection or Selection(), naming or Naming(), **options),
    )
