"""``s3_to_azure_sync``: plan → copy → report, as a task group for any DAG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import Asset, TaskGroup, TriggerRule, XComArg

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE
from airflow_s3_azure.engine.options import DEFAULT_CONCURRENCY, AccessTiers, CopyOptions
from airflow_s3_azure.operators import (
    S3ToAzureBatchesOperator,
    S3ToAzureCopyBatchOperator,
    S3ToAzurePlanOperator,
    S3ToAzureReportOperator,
)
from airflow_s3_azure.operators.arguments import check_arguments, check_deferral
from airflow_s3_azure.operators.connected import MAP_INDEX_TEMPLATE
from airflow_s3_azure.operators.key_list import check_key_list
from airflow_s3_azure.operators.option_groups import given, picked
from airflow_s3_azure.operators.plan_arguments import PlanArguments
from airflow_s3_azure.sync.batch import DEFAULT_BATCH_OBJECTS, DEFAULT_BATCH_SIZE
from airflow_s3_azure.task_retries import retry_arguments
from airflow_s3_azure.values import is_template, size

if TYPE_CHECKING:
    from airflow.sdk.execution_time.hitl import HITLUser

__all__ = ["s3_to_azure_sync"]

GROUP_ID = "s3_to_azure"


def s3_to_azure_sync(
    group_id: str = GROUP_ID,
    *,
    s3_bucket: str,
    container_name: str,
    s3_prefix: str | Sequence[str] | XComArg = "",
    keys: str | Sequence[str | Mapping[str, Any]] | XComArg = "",
    blob_prefix: str = "",
    strip_prefix: str = "",
    blob_template: str = "",
    rename: bool = False,
    day_folder: str = "",
    first_day: date | str | None = None,
    last_day: date | str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    modified_since: datetime | str | None = None,
    modified_before: datetime | str | None = None,
    lookback: timedelta = timedelta(0),
    min_size: int | str = 0,
    max_size: int | str | None = None,
    storage_classes: Sequence[str] = (),
    require_keys: bool = False,
    preflight: bool = True,
    compare: Literal["etag", "checksum", "size", "always"] | str = "etag",  # noqa: PYI051 - the text may be a template
    overwrite: bool | str = True,
    overwrite_archived: bool | str = False,
    dry_run: bool | str = False,
    egress_price_per_gib: float | str | None = None,
    max_objects: int | str | None = None,
    max_bytes: int | str | None = None,
    delete: Literal["extra"] | None = None,
    max_delete: float | str = 0.1,
    approve_delete: bool = True,
    approve_timeout: timedelta = timedelta(hours=12),
    assigned_users: HITLUser | list[HITLUser] | None = None,
    aws_conn_id: str | None = "aws_default",
    wasb_conn_id: str = "wasb_default",
    mode: Literal["stream", "server_side"] | str = "stream",  # noqa: PYI051 - the text may be a template
    deferrable: bool = False,
    verify: Literal["auto", "require", "read_back"] = "auto",
    create_container: bool | str = False,
    requester_pays: bool = False,
    archived: Literal["skip", "fail", "restore"] | str = "skip",  # noqa: PYI051 - the text may be a template
    restore_tier: Literal["Bulk", "Standard", "Expedited"] | str = "Bulk",  # noqa: PYI051 - the text may be a template
    restore_days: int | str = 7,
    restore_poll_interval: float | str = 300,
    restore_price_per_gib: float | str | None = None,
    approve_restore_above: float | str | None = 0,
    copy_tags: bool = False,
    access_tier: AccessTiers | str = None,
    encryption_scope: str | None = None,
    discard_foreign_blocks: bool = False,
    slice: timedelta | None = None,  # noqa: A002 - the word for it
    block_size: int | str = DEFAULT_BLOCK_SIZE,
    max_concurrency: int = DEFAULT_CONCURRENCY,
    max_bandwidth: float | str | None = None,
    batch_objects: int = DEFAULT_BATCH_OBJECTS,
    batch_size: int | str = DEFAULT_BATCH_SIZE,
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=1),
    pool: str | None = None,
    max_active_tis_per_dagrun: int | None = None,
    outlets: Sequence[Asset] | None = None,
    on_success_callback: Any = None,
    on_failure_callback: Any = None,
) -> TaskGroup:
    """Add a task group that copies what is under an S3 prefix and not yet in a container, and return it.

    ``plan`` compares source and destination and partitions the differences into batches; ``copy`` is mapped over the
    batches, on all workers; ``report`` adds up the ledger and fails the run if any key failed. A second run over an unchanged
    source costs two listings. Every selected key is in the ledger exactly once, under
    ``_s3_to_azure/<dag_id>/<run_id>/`` in the container.

    Of a DAG's ``default_args``, ``pool``, ``max_active_tis_per_dagrun`` and callbacks apply unless they are given here. All other
    arguments override it with their defaults, such as ``retries`` and ``aws_conn_id``.

    Arguments are checked when the DAG is parsed, and templates at the start of ``plan``. A size is a number of bytes, or text
    with a unit, such as ``"8 MiB"`` or ``"8MB"``.

    What to copy:

    :param group_id: name of the group; unique for each sync in a DAG
    :param s3_bucket: bucket to copy from (templated)
    :param s3_prefix: keys to copy begin with it, such as ``exports/{{ ds }}/``; empty: all (templated). A list of
        prefixes (each templated), or the output of a task that returns one (not rendered, because it may hold untrusted
        names), is planned in parallel, each prefix by one mapped task
    :param keys: copy these keys instead of all under the prefix: a list, the output of a task that returns one (not
        rendered), the URL of a list (``s3://`` or a blob's of the destination account; ``.csv``, ``.jsonl``, or one of them with
        ``.gz``), or text with one key on each line (templated). An entry is a key, or has ``key`` and perhaps ``version``,
        ``size`` and ``etag``. Keys outside ``s3_prefix``, and those that a filter leaves out, are not copied; a key that
        does not exist is ``skipped``. See `docs/how-to/key-lists.md`
    :param day_folder: format of the day after the prefix, such as ``%Y/%m/%d/`` or ``dt=%Y-%m-%d/``: only keys of the
        days from ``first_day`` to ``last_day``, with one listing for the whole range (templated)
    :param first_day: such as ``2026-11-22``; None: no lower bound (templated)
    :param last_day: inclusive; None: no upper bound (templated)
    :param include: globs over the whole key (``**`` crosses ``/``); at least one must match. Empty: all keys. A list, or
        text with one glob per line (templated)
    :param exclude: globs over the whole key; none may match. A list, or text with one glob per line (templated)
    :param modified_since: only objects last modified at this time or later, such as ``{{ data_interval_start }}``
        (templated)
    :param modified_before: only objects last modified before this time (templated)
    :param lookback: subtracted from ``modified_since``, because S3 dates a multipart upload by its start
    :param min_size: only objects of at least this size
    :param max_size: only objects of at most this size
    :param storage_classes: only objects of these classes, such as ``["STANDARD", "STANDARD_IA"]``; empty: all (templated)
    :param require_keys: fail the plan if no key is selected, instead of a warning
    :param preflight: fail the plan if none of the first objects may be read, or if copy_tags is set and the account cannot
        hold tags; warn if a clock is wrong. Costs a request if there is something to copy, and one with copy_tags

    Destination and names:

    :param container_name: container to copy to (templated)
    :param blob_prefix: text to put before each key to make the blob's name (templated)
    :param strip_prefix: text to remove from the front of each key first (templated)
    :param blob_template: a template of the name instead, such as ``landing/{last_modified:%Y/%m/%d}/{name}``; see
        :class:`~airflow_s3_azure.sync.naming.Naming` (templated)
    :param rename: percent-encode characters that Azure refuses in a name, reversibly, instead of skipping the key; every
        ``%`` then becomes ``%25``
    :param create_container: create the container if it is missing (templated)

    Comparison:

    :param compare: ``"etag"``: a blob is unchanged if the object's ETag and size are recorded on it, or, if another tool
        wrote it, if it has the object's size and is newer; ``"checksum"``: the same, but another tool's blob is read back
        in the copy tasks, compared with the checksum that S3 stored, and recorded as a copy if it is equal; ``"size"``: if
        it has the object's size; ``"always"``: no blob is unchanged (templated)
    :param overwrite: replace blobs that differ; False: skip keys whose blob exists (templated)
    :param overwrite_archived: replace blobs in the archive tier too: each is deleted before it is written, within ``max_delete``
        together with ``delete``; only with ``mode="stream"`` (templated)

    Limits:

    :param dry_run: make the plan and report what it would cost, but copy nothing (templated)
    :param egress_price_per_gib: price of a GiB of egress from S3, to compute the plan's price (templated)
    :param max_objects: fail the plan if there are more objects to copy; several prefixes are added up (templated)
    :param max_bytes: fail the plan if there are more bytes to copy; several prefixes are added up (templated)

    Mirroring:

    :param delete: ``"extra"``: delete orphaned blobs: copies of keys under this prefix that no longer exist
    :param max_delete: delete nothing if more blobs than this are orphaned: a number, or, below 1, a share of the blobs under
        the prefix (templated)
    :param approve_delete: require a human's approval in Airflow's UI
    :param approve_timeout: without a response within this time nothing is deleted
    :param assigned_users: who may respond, such as ``{"id": "1", "name": "admin"}``, or a list of such; None: every user
        who may edit the task instance

    How to copy:

    :param aws_conn_id: Airflow connection to S3; None: boto3's default credentials (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage (templated)
    :param mode: ``"stream"``: blocks go through the workers; ``"server_side"``: Azure reads them from S3 (templated)
    :param deferrable: with ``mode="server_side"``: copy tasks wait in the triggerer, without a worker slot
    :param verify: ``"auto"``, ``"require"`` or ``"read_back"``, see :class:`~airflow_s3_azure.operators.S3ToAzureBlobStreamOperator`
    :param requester_pays: agree to pay for a requester-pays bucket
    :param archived: what becomes of archived objects (Glacier Flexible Retrieval, Deep Archive, archive tiers of
        Intelligent-Tiering) that are not restored: ``"skip"``: they are ``skipped`` and counted separately; ``"fail"``;
        ``"restore"``: they are restored, and copied as they become readable; the copy tasks wait in the triggerer (templated)
    :param restore_tier: S3's retrieval tier of a restore: ``"Bulk"``, ``"Standard"`` or ``"Expedited"`` (templated)
    :param restore_days: for which S3 keeps a restored object readable; at least as many as the copy takes (templated)
    :param restore_poll_interval: seconds, at least 15, between two checks of a copy task whether its objects are restored; each is
        a request for 1,000 keys of the batch (templated)
    :param restore_price_per_gib: price of the restore of a GiB, to compute its price for the approval (templated)
    :param approve_restore_above: require a human's approval in Airflow's UI to restore more bytes than this, with ``approve_timeout``
        and ``assigned_users``; rejected, archived objects are skipped; None: no approval (templated)
    :param copy_tags: copy each object's tags as blob index tags; one more request per object
    :param access_tier: of the new blobs: ``"Hot"``, ``"Cool"``, ``"Cold"``, ``"Archive"``, or tiers by the objects' storage classes,
        with ``*`` for all others: ``{"GLACIER": "Archive", "*": "Cool"}``; None: the account's default (templated)
    :param encryption_scope: Azure encryption scope of the new blobs; None: the container's default (templated)
    :param discard_foreign_blocks: discard foreign blocks: those that another tool left staged and that conflict with ours, if no
        blob exists
    :param slice: a copy task ends cleanly after this time and resumes in a later execution of the same try
    :param block_size: bytes in a block
    :param max_concurrency: threads of each copy task, each with a buffer of ``block_size``
    :param max_bandwidth: bytes per second that each copy task reads from S3 at most; None: no limit. All copy tasks together read
        at most this times the slots of ``pool`` (templated)
    :param batch_objects: objects in one copy task at most; fewer objects are divided among up to 16 tasks, from 1,000 each
    :param batch_size: target number of bytes in one copy task
    :param retries: of each task
    :param retry_delay: before the first retry; doubled for each further one
    :param pool: Airflow pool of the copy tasks
    :param max_active_tis_per_dagrun: copy tasks of one run at a time

    After the copy:

    :param outlets: assets for which ``report`` emits an event with the totals, once per good run that is not dry; None:
        one asset named after the DAG (``<dag_id>``, or ``<dag_id>.<group_id>`` with another ``group_id``, which
        begins with the groups around it)
    :param on_success_callback: notifier or function, called when ``report`` succeeded
    :param on_failure_callback: notifier or function, called when ``report`` failed
    """
    arguments = {**locals(), "is_dry_run": dry_run}
    _check(arguments)
    endpoints, copy_options = picked(Endpoints, arguments), picked(CopyOptions, arguments)
    running = {"deferrable": deferrable, "slice": slice}
    retrying = retry_arguments(retries, retry_delay)
    approval = {"response_timeout": approve_timeout, "assigned_users": assigned_users}
    with TaskGroup(group_id) as group:
        plan_options = {**endpoints, **copy_options, **running, **picked(PlanArguments, arguments)}
        plan = _plan(s3_prefix, plan_options, retrying)
        # expand(), not expand_kwargs(): that would render templates in the labels, which are made of keys.
        approve_restore = None
        if archived not in ("skip", "fail"):  # a template and the output of a task may become "restore"
            limits = {"archived": archived, "approve_above": approve_restore_above}
            approve_restore = _approve_restore(plan.task_id, {**approval, **limits}, retrying)
        copy = S3ToAzureCopyBatchOperator.partial(
            task_id="copy",
            approve_task_id=approve_restore.task_id if approve_restore else None,
            map_index_template=MAP_INDEX_TEMPLATE,
            **given(pool=pool or None, max_active_tis_per_dagrun=max_active_tis_per_dagrun),
            **endpoints,
            **copy_options,
            **running,
            **retrying,
        ).expand(batch=plan.output)
        report = S3ToAzureReportOperator(
            task_id="report",
            plan_task_id=plan.task_id,
            delete_task_id=f"{group.group_id}.delete" if delete else None,
            trigger_rule=TriggerRule.ALL_DONE,  # it reports failed batches, and its state is the run's
            outlets=list(outlets) if outlets is not None else [_asset(group)],
            **given(on_success_callback=on_success_callback, on_failure_callback=on_failure_callback),
            **endpoints,
            **retrying,
        )
        if approve_restore is not None:
            plan >> approve_restore >> copy
        plan >> copy >> report
        if delete is not None:
            approve, deleted = _deletion(plan.task_id, approval if approve_delete else None, endpoints, retrying)
            copy >> approve
            deleted >> report
    return group


def _check(arguments: dict[str, Any]) -> None:
    """Check the arguments that are not templates, so that mistakes show when the DAG is parsed."""
    prefixes = arguments["s3_prefix"]
    check_key_list(arguments["keys"], delete=arguments["delete"], has_several_prefixes=not _is_one(prefixes))
    if not is_template(arguments["approve_restore_above"]):
        size("approve_restore_above", arguments["approve_restore_above"])
    # The output of a task is checked when the task has run.
    for one in [prefixes] if _is_one(prefixes) or isinstance(prefixes, XComArg) else prefixes:
        check_arguments({**arguments, "s3_prefix": one})
    if not is_template(arguments["mode"]):
        deferral = {name: arguments[name] for name in ("deferrable", "compare")}
        check_deferral(arguments["mode"], arguments["slice"], **deferral)


def _is_one(s3_prefix: Any) -> bool:
    """Return whether it is one prefix: text, or an argument of a ``@dag`` function, and no list or output of a task."""
    return isinstance(s3_prefix, str) or (is_template(s3_prefix) and not isinstance(s3_prefix, Sequence | XComArg))


def _plan(s3_prefix: str | Sequence[str] | XComArg, options: dict[str, Any], retrying: dict[str, Any]) -> Any:
    """Return the task that makes the plan; for several prefixes, the one that combines their plans."""
    arguments = {"task_id": "plan", **options, **retrying}
    if _is_one(s3_prefix):
        return S3ToAzurePlanOperator(**arguments)
    del arguments["s3_prefix"]
    several = S3ToAzurePlanOperator.partial(map_index_template=MAP_INDEX_TEMPLATE, **arguments).expand(
        s3_prefix=s3_prefix if isinstance(s3_prefix, XComArg) else list(s3_prefix)
    )
    batches = S3ToAzureBatchesOperator(
        task_id="batches",
        plan_task_id=several.task_id,
        **{name: arguments[name] for name in ("blob_template", "max_objects", "max_bytes")},
        **retrying,
    )
    several >> batches
    return batches


def _approve_restore(plan_task_id: str, approval: dict[str, Any], retrying: dict[str, Any]) -> Any:
    """Return the task that approves the restore of archived objects."""
    # Imported only where objects may be restored, because the module of human approval is slow to import.
    from airflow_s3_azure.operators.restore import S3ToAzureApproveRestoreOperator

    return S3ToAzureApproveRestoreOperator(task_id="approve_restore", plan_task_id=plan_task_id, **approval, **retrying)


def _deletion(
    plan_task_id: str, approval: dict[str, Any] | None, endpoints: dict[str, Any], retrying: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the first and the last task of the deletion.

    :param approval: arguments of the approval task; None: no approval is needed
    """
    # Imported only for a mirror, because the module of human approval is slow to import.
    from airflow_s3_azure.operators.delete import S3ToAzureApproveDeleteOperator, S3ToAzureDeleteOperator

    deletion: dict[str, Any] = {"task_id": "delete", "plan_task_id": plan_task_id, **endpoints, **retrying}
    # NONE_FAILED: a skipped copy had nothing to do, but after a failed one nothing may be deleted.
    if approval is None:
        delete = S3ToAzureDeleteOperator(trigger_rule=TriggerRule.NONE_FAILED, **deletion)
        return delete, delete
    approve = S3ToAzureApproveDeleteOperator(
        task_id="approve_delete",
        plan_task_id=plan_task_id,
        trigger_rule=TriggerRule.NONE_FAILED,
        **approval,
        **retrying,
    )
    delete = S3ToAzureDeleteOperator(approve_task_id=approve.task_id, trigger_rule=TriggerRule.ALL_SUCCESS, **deletion)
    approve >> delete
    return approve, delete


def _asset(group: TaskGroup) -> Asset:
    dag_id = group.dag.dag_id
    # The full ID: groups around it may contain several groups of one name.
    name = dag_id if group.group_id == GROUP_ID else f"{dag_id}.{group.group_id}"
    return Asset(name)
