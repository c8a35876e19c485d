"""The type and the templating of each argument of the operators and the task group. Pure.

An argument is checked when the DAG is parsed, unless it is a template; those are checked at the start of the first task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, get_args

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.options import Archived, Mode, RestoreTier, Verify, check_overwrite_archived
from airflow_s3_azure.operators.destination_arguments import access_tiers, encryption_scope
from airflow_s3_azure.operators.key_list import key_list
from airflow_s3_azure.sync.audit.truth import CompareWith, Runs
from airflow_s3_azure.sync.compare_modes import NO_READ_BACK, Compare
from airflow_s3_azure.values import (
    SOONEST_SECONDS,
    bandwidth,
    block_size,
    bucket,
    choice,
    container,
    day,
    duration,
    flag,
    is_template,
    number,
    optional,
    optional_duration,
    optional_text,
    prefix,
    required,
    sha256,
    share,
    size,
    strings,
    text,
    time,
    whole,
)


@dataclass(frozen=True, slots=True)
class Argument:
    """How an argument is read.

    :param read: returns the value of an argument, given its name and what was passed or rendered
    :param is_templated: whether Airflow renders it
    """

    read: Callable[[str, Any], Any]
    is_templated: bool = False


ARGUMENTS: Mapping[str, Argument] = {
    # Endpoints
    "s3_bucket": Argument(bucket, is_templated=True),
    "container_name": Argument(container, is_templated=True),
    "aws_conn_id": Argument(optional_text, is_templated=True),
    "wasb_conn_id": Argument(text, is_templated=True),
    "create_container": Argument(flag, is_templated=True),
    "requester_pays": Argument(flag),
    # CopyOptions
    "mode": Argument(choice(*get_args(Mode)), is_templated=True),
    "block_size": Argument(block_size),
    "max_concurrency": Argument(required(whole, 1, " thread")),
    "max_bandwidth": Argument(bandwidth, is_templated=True),
    "overwrite": Argument(flag, is_templated=True),
    "overwrite_archived": Argument(flag, is_templated=True),
    "verify": Argument(choice(*get_args(Verify))),
    "archived": Argument(choice(*get_args(Archived)), is_templated=True),
    "restore_tier": Argument(choice(*get_args(RestoreTier)), is_templated=True),
    "restore_days": Argument(required(whole, 1, " day"), is_templated=True),
    "restore_poll_interval": Argument(required(number, SOONEST_SECONDS, " seconds"), is_templated=True),
    "copy_tags": Argument(flag),
    "access_tier": Argument(access_tiers, is_templated=True),
    "encryption_scope": Argument(encryption_scope, is_templated=True),
    "discard_foreign_blocks": Argument(flag),
    # PlanArguments
    "s3_prefix": Argument(prefix, is_templated=True),
    "keys": Argument(key_list, is_templated=True),
    "day_folder": Argument(text, is_templated=True),
    "first_day": Argument(day, is_templated=True),
    "last_day": Argument(day, is_templated=True),
    "include": Argument(strings, is_templated=True),
    "exclude": Argument(strings, is_templated=True),
    "modified_since": Argument(time, is_templated=True),
    "modified_before": Argument(time, is_templated=True),
    "lookback": Argument(duration),
    "min_size": Argument(required(size)),
    "max_size": Argument(size),
    "storage_classes": Argument(strings, is_templated=True),
    "require_keys": Argument(flag),
    "preflight": Argument(flag),
    "blob_prefix": Argument(text, is_templated=True),
    "strip_prefix": Argument(prefix, is_templated=True),
    "blob_template": Argument(text, is_templated=True),
    "rename": Argument(flag),
    "compare": Argument(choice(*get_args(Compare)), is_templated=True),
    "dry_run": Argument(flag, is_templated=True),
    "egress_price_per_gib": Argument(number, is_templated=True),
    "restore_price_per_gib": Argument(number, is_templated=True),
    "max_objects": Argument(whole, is_templated=True),
    "max_bytes": Argument(size, is_templated=True),
    "delete": Argument(choice("extra", may_be_none=True)),
    "max_delete": Argument(required(number), is_templated=True),
    "batch_objects": Argument(required(whole, 1, " object")),
    "batch_size": Argument(required(size, 1, " byte")),
    # AuditArguments
    "compare_with": Argument(choice(*get_args(CompareWith)), is_templated=True),
    "ledger": Argument(text, is_templated=True),
    "runs": Argument(choice(*get_args(Runs)), is_templated=True),
    "files_digest": Argument(sha256, is_templated=True),
    "deep": Argument(flag, is_templated=True),
    "sample": Argument(share, is_templated=True),
    "seed": Argument(text, is_templated=True),
    "nights": Argument(optional(whole, 1, " night"), is_templated=True),
    "night": Argument(whole, is_templated=True),
    # PreflightOptions
    "s3_key": Argument(text, is_templated=True),
    "write_source": Argument(flag, is_templated=True),
    "skip": Argument(strings, is_templated=True),
    # How a task runs
    "deferrable": Argument(flag),
    "slice": Argument(optional_duration),
}
"""All options, by their name in the task group."""


def read_argument(name: str, value: Any) -> Any:
    """Return the value of an argument, given what was passed or rendered.

    :raises ConfigurationError: if the argument does not accept it
    """
    name = name.removeprefix("is_")  # BaseOperator has a method dry_run
    return ARGUMENTS[name].read(name, value)


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check arguments when the DAG is parsed, except templates.

    :raises ConfigurationError: naming the first invalid argument
    """
    for name, value in arguments.items():
        argument = ARGUMENTS.get(name.removeprefix("is_"))
        if argument is None or (argument.is_templated and is_template(value)):
            continue
        read_argument(name, value)
    check_overwrite_archived(
        arguments.get("overwrite_archived"), overwrite=arguments.get("overwrite"), mode=arguments.get("mode")
    )


def check_deferral(mode: str, slice_time: timedelta | None, *, deferrable: bool, compare: str = "etag") -> None:
    """Check the combination of arguments of a deferred copy.

    :raises ConfigurationError: if they exclude each other
    """
    if deferrable and mode != "server_side":
        raise ConfigurationError("deferrable=True needs mode='server_side': a triggerer must not move bytes")
    if deferrable and slice_time is not None:
        raise ConfigurationError(
            "slice and deferrable are both given; a deferred copy holds no worker: leave slice out"
        )
    if deferrable and compare == "checksum":
        raise ConfigurationError(NO_READ_BACK)
