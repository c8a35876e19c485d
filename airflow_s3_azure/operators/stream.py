"""The operator for one object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.quoting import get_logger, printable
from airflow_s3_azure.links import AzurePortalLink, S3ConsoleLink
from airflow_s3_azure.operators.connected import MAP_INDEX_TEMPLATE, MAX_MAP_LABEL, CopyingOperator, airflow_failures
from airflow_s3_azure.operators.option_groups import read_options, templated

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.connections import S3Bucket
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.engine.errors import S3ToAzureError
    from airflow_s3_azure.engine.model import CopyRequest
    from airflow_s3_azure.engine.progress import Progress
    from airflow_s3_azure.triggers import ConnectedTrigger

log = get_logger(__name__)

LOG_SECONDS = 10.0


class S3ToAzureBlobStreamOperator(CopyingOperator):
    """Copy one object from Amazon S3 to Azure Blob Storage, block by block, with nothing on disk.

    The object is read through presigned URLs in ranges that are pinned to its ETag. Azure checks a CRC-64 of each
    block on arrival, and the combined value is verified against the checksum that S3 stored, before the blob becomes
    visible. A retried task copies only the blocks that are not staged yet. Memory is
    ``max_concurrency * block_size`` and at most 40 MiB more.

    Use ``.partial(...).expand(s3_key=keys)`` for one mapped task per key; keys that come from an XCom are then not
    rendered as templates. (``.expand_kwargs`` would render them: do not use it with keys you do not trust.)

    Returns a dictionary to XCom: ``key``, ``blob``, ``status`` (``copied``, ``unchanged``, ``skipped``), ``size``,
    ``blocks``, ``resumed_blocks``, ``etag`` (S3's), ``version_id``, ``blob_etag`` (Azure's), ``verified``
    (``crc64nvme``, ``crc32``, ``crc32c``, ``composite-crc32``, ``composite-crc32c``, ``md5``, ``blocks`` or
    ``transport``), ``bytes_read``, ``retries``, ``seconds``,
    ``mib_per_second``, ``reason``, ``error`` and ``retryable`` (always None: an error fails the task), ``archived`` (whether it was skipped
    because it is archived), ``source`` and ``destination``.

    :param s3_bucket: bucket to copy from (templated)
    :param s3_key: key to copy (templated)
    :param container_name: container to copy to (templated)
    :param blob_name: name of the blob; the key if it is not given (templated)
    :param blob_prefix: text to put before the key to make the blob's name; not together with ``blob_name`` (templated)
    :param aws_conn_id: Airflow connection to S3; None: boto3's default credentials (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage (templated)
    :param s3_version_id: a version to copy instead of the current one (templated)
    :param mode: ``"stream"``: the blocks go through the worker; ``"server_side"``: server-side copy, in which Azure reads
        them from S3 through presigned URLs; Azure must be able to reach S3 (templated)
    :param deferrable: with ``mode="server_side"``: wait in the triggerer, without a worker slot
    :param block_size: bytes in a block; grows automatically if Azure's 50,000 blocks would not suffice
    :param max_concurrency: blocks in flight at most, each in its own buffer
    :param max_bandwidth: bytes per second to read from S3 at most; None: no limit (templated)
    :param overwrite: replace a blob that is not a copy of this version of the object; False: skip it (templated)
    :param overwrite_archived: replace a blob in the archive tier too. Azure cannot overwrite it, so it is deleted once the object
        can be read, and while a large object is copied there is no blob; only with ``mode="stream"`` (templated)
    :param create_container: create the container if it is missing (templated)
    :param verify: ``"auto"``: verify against the checksum S3 stored, if it stored one; ``"require"``: fail if not;
        ``"read_back"``: as ``"auto"``, and read resumed blocks back after the commit
    :param archived: of an archived object that is not restored: ``"fail"``; ``"skip"``: the result is ``skipped``;
        ``"restore"``: it is restored, and copied once it is readable; the task waits in the triggerer (templated)
    :param restore_tier: S3's retrieval tier of a restore: ``"Bulk"``, ``"Standard"`` or ``"Expedited"`` (templated)
    :param restore_days: for which S3 keeps a restored object readable; at least as many as the copy takes (templated)
    :param restore_poll_interval: seconds, at least 15, between two checks whether the object is restored; each is a HEAD (templated)
    :param copy_tags: copy the object's tags as blob index tags; one more request
    :param access_tier: of the new blob: ``"Hot"``, ``"Cool"``, ``"Cold"``, ``"Archive"``, or tiers by storage class, with ``*`` for
        all others: ``{"GLACIER": "Archive", "*": "Cool"}``; None: the account's default (templated)
    :param encryption_scope: Azure encryption scope of the new blob; None: the container's default (templated)
    :param discard_foreign_blocks: discard foreign blocks: those that another tool left staged and that conflict with ours, if no
        blob exists
    :param slice: end the execution cleanly after this time, and resume in a later execution of the same try. The worker slot is
        free in between, and no retry is used: a copy of days becomes many short executions
    :param requester_pays: agree to pay for a requester-pays bucket
    """

    template_fields: Sequence[str] = (
        *("s3_key", "blob_name", "blob_prefix", "s3_version_id"),
        *templated(Endpoints, CopyOptions),
    )
    operator_extra_links = (S3ConsoleLink(), AzurePortalLink())  # it has no ledger
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        s3_key: str,
        blob_name: str | None = None,
        blob_prefix: str = "",
        s3_version_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.s3_key = s3_key
        self.blob_name = blob_name
        self.blob_prefix = blob_prefix
        self.s3_version_id = s3_version_id

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map the operator; each task is labeled by its key unless ``map_index_template`` is given."""
        return super().partial(**{"map_index_template": MAP_INDEX_TEMPLATE, **kwargs})

    @property
    def map_label(self) -> str:
        """Label of a mapped task in the UI: the key, printable and short."""
        return printable(self.s3_key, MAX_MAP_LABEL)

    def execute(self, context: Context) -> dict[str, Any]:
        """Copy the object and return the result.

        :raises AirflowFailException: if no retry can help
        :raises S3ToAzureError: if a retry can help; it resumes
        """
        from airflow_s3_azure.connections import check_object
        from airflow_s3_azure.engine.pool import copy_objects
        from airflow_s3_azure.lineage import Moved, Place
        from airflow_s3_azure.live_progress import UPDATE_SECONDS, LiveProgress, at_most_every
        from airflow_s3_azure.metrics import CopyMetrics

        with airflow_failures():
            request, options = self._request(), self._copy_options()
            if self.deferrable:
                from airflow_s3_azure.triggers import ServerSideObjectTrigger

                self._defer_object(ServerSideObjectTrigger, options, "execute_complete")
            bucket, container, cancellation = self._open(options)
            check_object(read_options(Endpoints, self), bucket, container, request)
            source, destination = bucket.source.url(self.s3_key), container.blobs.blob_url(request.blob)
            log.info("copying %r to %r", source, destination)
            moved = Moved(Place.of_s3(bucket.name, self.s3_key), container.place(request.blob))
            self.moved = [moved]
            in_log = at_most_every(LOG_SECONDS, _log_progress)

            def on_progress(progress: Progress) -> None:
                in_log(progress)
                live.update(
                    progress.objects,
                    progress.size,
                    self.s3_key,
                    resumed=progress.resumed,
                    total=progress.total or None,
                )

            with CopyMetrics(context["ti"]) as metrics, LiveProgress(context, objects=1) as live:
                (result,) = copy_objects(
                    [request],
                    bucket.source,
                    container.blobs,
                    options,
                    cancellation,
                    slice_seconds=self._slice_seconds(),
                    on_progress=on_progress,
                    progress_interval=UPDATE_SECONDS,
                )
                if options.archived == "restore":
                    self._restore(bucket, request, result.error, options, cancellation)
                metrics.add(result)
            if result.error is not None:
                raise result.error
            self.moved = [moved.ended(result.status, result.size)]
        row = result.as_json() | {"source": source, "destination": destination}
        _log_row(row)
        return row

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the trigger's copy; errors are those of :meth:`execute`."""
        from airflow_s3_azure.lineage import Moved, Place

        with airflow_failures():
            row = self._outcome(context, event)
            if row.get("waiting"):
                self._wait()
        moved = Moved(Place.of_s3(self.s3_bucket, self.s3_key), Place(**event["place"]))
        self.moved = [moved.ended(row["status"], row["size"])]
        _log_row(row)
        return row

    def _restore(
        self,
        bucket: S3Bucket,
        request: CopyRequest,
        error: S3ToAzureError | None,
        options: CopyOptions,
        cancellation: Cancellation,
    ) -> None:
        """Restore an object whose copy failed because it is archived, and wait for it; return if that is not so."""
        from airflow_s3_azure.sync.restores import Restores

        if Restores(bucket.client, bucket.source, options, cancellation).request_if_archived(request, error):
            self._wait()

    def _wait(self) -> NoReturn:
        """Defer until the object is restored."""
        from airflow_s3_azure.triggers import ObjectRestoreTrigger

        options = self._copy_options()
        log.info("%r is archived; its restore is requested with tier %s", self.s3_key, options.restore_tier)
        self._defer_object(ObjectRestoreTrigger, options, "execute_restored")

    def _defer_object(self, trigger: type[ConnectedTrigger], options: CopyOptions, method: str) -> NoReturn:
        request = self._request()
        work = {"s3_key": request.key, "blob_name": request.blob, "s3_version_id": request.version_id}
        self._defer(trigger, options, method, **work)

    def _request(self) -> CopyRequest:
        from airflow_s3_azure.engine.model import CopyRequest

        version_id = self.s3_version_id or None
        # The option overwrite_archived decides whether an archived blob is replaced.
        return CopyRequest(self.s3_key, self._checked_name(), version_id=version_id, replace_archived=True)

    def _checked_name(self) -> str:
        from airflow_s3_azure.engine.azure.blob_names import why_refused
        from airflow_s3_azure.sync.naming import Naming

        if not self.s3_key:
            raise ConfigurationError("s3_key is empty; name the object to copy")
        if self.blob_name and self.blob_prefix:
            raise ConfigurationError("blob_name and blob_prefix are both given; give one of them")
        name = self.blob_name or Naming(self.blob_prefix).name(self.s3_key)
        if refused := why_refused(name):
            raise ConfigurationError(f"blob name {name!r} is refused: {refused}; give another blob_name")
        return name


def _log_row(row: dict[str, Any]) -> None:
    from airflow_s3_azure.engine.progress import count_text, duration_text, size_text

    log.info(
        "%s%s: %s in %s, %s (%d resumed)%s, %s read from S3, %s",
        row["status"],
        f" ({row['reason']})" if row["reason"] else "",
        size_text(row["size"] or 0),
        duration_text(row["seconds"]),
        count_text(row["blocks"], "block"),
        row["resumed_blocks"],
        f", verified by {row['verified']}" if row["verified"] else "",
        size_text(row["bytes_read"]),
        "1 retry" if row["retries"] == 1 else f"{row['retries']} retries",
    )


def _log_progress(progress: Progress) -> None:
    if progress.total:  # the size is known once S3 has responded
        log.info("%s", progress.describe())
