"""Every option reaches every layer, from the task group's argument to the engine."""

from __future__ import annotations

import inspect
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from airflow_s3_azure import triggers
from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.operators import (
    S3ToAzureAuditOperator,
    S3ToAzureBlobStreamOperator,
    S3ToAzureCopyBatchOperator,
    S3ToAzurePlanOperator,
    S3ToAzurePreflightOperator,
    S3ToAzureReportOperator,
)
from airflow_s3_azure.operators.arguments import ARGUMENTS
from airflow_s3_azure.operators.audit_arguments import AuditArguments
from airflow_s3_azure.operators.option_groups import option_names, read_options
from airflow_s3_azure.operators.plan_arguments import PlanArguments
from airflow_s3_azure.preflight.preflight_options import PreflightOptions
from airflow_s3_azure.sync_group import s3_to_azure_sync

if TYPE_CHECKING:
    from airflow_s3_azure.connections import AzureContainer, S3Bucket

ENDPOINTS: dict[str, Any] = {
    "s3_bucket": "other-bucket",
    "container_name": "other-container",
    "aws_conn_id": "other_aws",
    "wasb_conn_id": "other_wasb",
    "create_container": True,
    "requester_pays": True,
}
COPY_OPTIONS: dict[str, Any] = {
    "mode": "server_side",
    "block_size": 16 * 1024**2,
    "max_concurrency": 3,
    "max_bandwidth": 5_000_000,
    "overwrite": False,
    "verify": "require",
    "archived": "skip",
    "restore_tier": "Standard",
    "restore_days": 3,
    "restore_poll_interval": 60,
    "copy_tags": True,
    "access_tier": {"GLACIER": "Archive", "*": "Cool"},
    "encryption_scope": "tenant-a",
    "discard_foreign_blocks": True,
}
REPLACING: dict[str, Any] = {"overwrite_archived": True, "overwrite": True, "mode": "stream"}
"""An option that excludes other values of COPY_OPTIONS, with those that it takes."""
PLAN_ARGUMENTS: dict[str, Any] = {
    "s3_prefix": "exports/",
    "keys": "s3://lists/keys.csv",
    "day_folder": "%Y/",
    "first_day": "2026-01-01",
    "last_day": "2026-12-31",
    "include": ["**.csv"],
    "exclude": ["**/_tmp/**"],
    "modified_since": "2026-01-01T00:00Z",
    "modified_before": "2026-12-31T00:00Z",
    "lookback": timedelta(hours=1),
    "min_size": 1,
    "max_size": 10,
    "storage_classes": ["STANDARD"],
    "require_keys": True,
    "preflight": False,
    "blob_prefix": "landing/",
    "strip_prefix": "exp",
    "blob_template": "{key}",
    "rename": True,
    "compare": "size",
    "is_dry_run": True,
    "egress_price_per_gib": 0.09,
    "restore_price_per_gib": 0.02,
    "max_objects": 7,
    "max_bytes": 8,
    "delete": "extra",
    "max_delete": 0.5,
    "batch_objects": 4,
    "batch_size": 1024**2,
}
AUDIT_ARGUMENTS: dict[str, Any] = {
    "container_name": "other-container",
    "wasb_conn_id": "other_wasb",
    "compare_with": "records",
    "ledger": "s3_to_azure_nightly",
    "runs": "all",
    "files_digest": "ab" * 32,
    "blob_prefix": "landing/",
    "deep": True,
    "sample": 0.5,
    "seed": "a",
    "nights": 30,
    "night": 2,
    "max_concurrency": 3,
    "max_bandwidth": 5_000_000,
}
PREFLIGHT_OPTIONS: dict[str, Any] = {
    "s3_prefix": "exports/",
    "s3_key": "exports/key",
    "blob_prefix": "landing/",
    "write_source": True,
    "skip": ["idle-connections"],
}
SYNC_GROUPS: dict[type, dict[str, Any]] = {
    Endpoints: ENDPOINTS,
    CopyOptions: COPY_OPTIONS,
    PlanArguments: PLAN_ARGUMENTS,
}
GROUPS: dict[type, dict[str, Any]] = {
    **SYNC_GROUPS,
    AuditArguments: AUDIT_ARGUMENTS,
    PreflightOptions: PREFLIGHT_OPTIONS,
}
NEEDED = {Endpoints: ("", ""), AuditArguments: ("",)}
"""What a group has no default for."""


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_the_tests_give_every_option_a_distinct_value(group: type) -> None:
    """An option that is added without one fails here, and then in the layer that drops it."""
    defaults = group(*NEEDED.get(group, ()))

    assert GROUPS[group].keys() | (REPLACING.keys() if group is CopyOptions else set()) == set(option_names(group))
    assert [name for name, value in GROUPS[group].items() if getattr(defaults, name) == value] == []


def test_each_option_has_one_row_with_its_type() -> None:
    """No option is read unchecked, and no row is left over."""
    assert {name.removeprefix("is_") for name in option_names(*GROUPS)} == ARGUMENTS.keys() - {"deferrable", "slice"}


def test_the_task_group_accepts_each_option_with_its_default() -> None:
    """Its signature is written out, for editors and readers; here it is compared with the declarations."""
    parameters = inspect.signature(s3_to_azure_sync).parameters
    defaults = {
        name: getattr(group(*NEEDED.get(group, ())), name) for group in SYNC_GROUPS for name in option_names(group)
    } | {"s3_bucket": inspect.Parameter.empty, "container_name": inspect.Parameter.empty}
    defaults["archived"] = "skip"  # a single copy fails instead

    assert {name: parameters[name.removeprefix("is_")].default for name in defaults} == defaults


@pytest.mark.parametrize(
    "changes",
    [{"keys": ""}, {"keys": "", "s3_prefix": ["a/", "b/"]}, {"delete": None}, {"delete": None, **REPLACING}],
    ids=["delete", "several prefixes", "keys", "archived blobs"],
)
def test_the_task_group_passes_each_option_to_its_tasks(changes: dict[str, Any]) -> None:
    """The plan takes all of them; a batch the copy options; all others the endpoints."""
    arguments = ENDPOINTS | COPY_OPTIONS | PLAN_ARGUMENTS | changes
    with DAG("all_options") as dag:
        s3_to_azure_sync(**{name.removeprefix("is_"): value for name, value in arguments.items()})
    taken = {
        "plan": ENDPOINTS | COPY_OPTIONS | PLAN_ARGUMENTS | changes,
        "copy": ENDPOINTS | {name: arguments[name] for name in option_names(CopyOptions) if name in arguments},
        "report": ENDPOINTS,
    }
    if arguments["delete"]:
        taken["delete"] = ENDPOINTS
    if "s3_prefix" in changes:
        del taken["plan"]["s3_prefix"]

    for task_id, expected in taken.items():
        task: Any = dag.get_task(f"s3_to_azure.{task_id}")
        found = task.partial_kwargs if hasattr(task, "partial_kwargs") else vars(task)
        assert {name: found[name] for name in expected} == expected, task_id


@pytest.mark.parametrize(
    "operator",
    [S3ToAzureBlobStreamOperator, S3ToAzureCopyBatchOperator, S3ToAzurePlanOperator, S3ToAzureReportOperator],
)
def test_operators_take_options_as_flat_arguments(operator: type) -> None:
    """In their classes' signatures, by which Airflow's ``partial()`` and ``default_args`` accept them."""
    inits = [vars(one)["__init__"] for one in operator.__mro__[:-1] if "__init__" in vars(one)]
    names = {name for init in inits for name in inspect.signature(init).parameters}

    assert set(option_names(Endpoints)) <= names
    assert (set(option_names(CopyOptions)) <= names) == (operator is not S3ToAzureReportOperator)
    assert (set(option_names(PlanArguments)) <= names) == (operator is S3ToAzurePlanOperator)


def test_the_audit_takes_its_options_and_none_of_a_copy() -> None:
    """So that it needs no bucket and no connection to S3."""
    audit: Any = S3ToAzureAuditOperator(task_id="audit", **AUDIT_ARGUMENTS)

    assert read_options(AuditArguments, audit) == AuditArguments(**AUDIT_ARGUMENTS)
    with pytest.raises(TypeError, match="aws_conn_id"):
        S3ToAzureAuditOperator(task_id="audit", container_name="landing", aws_conn_id="aws_default")


def test_the_preflight_takes_its_options_and_the_endpoints() -> None:
    """And none of a copy."""
    preflight: Any = S3ToAzurePreflightOperator(task_id="preflight", **ENDPOINTS, **PREFLIGHT_OPTIONS)

    assert read_options(PreflightOptions, preflight) == PreflightOptions(**PREFLIGHT_OPTIONS)
    assert read_options(Endpoints, preflight) == Endpoints(**ENDPOINTS)


def test_default_args_set_options() -> None:
    """As for any argument of an operator."""
    with DAG("defaults", default_args={"max_concurrency": 5, "s3_bucket": "from-defaults"}):
        operator = S3ToAzureBlobStreamOperator(task_id="copy", s3_key="a", container_name="container")

    assert read_options(CopyOptions, operator).max_concurrency == 5
    assert read_options(Endpoints, operator).s3_bucket == "from-defaults"


def test_a_missing_endpoint_is_named() -> None:
    """By Airflow, when the DAG is parsed."""
    with pytest.raises(TypeError, match="missing keyword argument 'container_name'"):
        S3ToAzureBlobStreamOperator(task_id="copy", s3_key="a", s3_bucket="bucket")


def test_a_trigger_gives_the_engine_what_the_operator_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through JSON, as Airflow's database keeps it."""
    given = CopyOptions(**COPY_OPTIONS)
    operator = S3ToAzureBlobStreamOperator(task_id="copy", s3_key="a", deferrable=True, **ENDPOINTS, **COPY_OPTIONS)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    _, arguments = deferred.value.trigger.serialize()
    opened: list[Any] = []

    def open_endpoints(*options: Any) -> tuple[S3Bucket, AzureContainer]:
        opened.extend(options)
        raise NotImplementedError

    monkeypatch.setattr(triggers, "open_endpoints", open_endpoints)
    trigger = triggers.ServerSideObjectTrigger(**json.loads(json.dumps(arguments)))
    with pytest.raises(NotImplementedError):
        trigger._copy(cancellation := Cancellation())

    assert opened == [Endpoints(**ENDPOINTS), given, cancellation]
