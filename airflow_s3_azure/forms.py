"""The trigger forms of the shipped DAGs: each field declared once, with the template that passes its value to the sync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_s3_azure.form_fields import (
    MORE,
    NUMBER,
    TEXT,
    Form,
    bucket_choice,
    container_choice,
    env,
    env_flag,
    field,
    params_of,
    template,
)

__all__ = ["Form", "events_form", "history_form", "keys_form", "nightly_form"]

# A run without a logical date has no data interval: its day is the one on which it was triggered.
_DAY = (
    "{% set day = dag_run.data_interval_start"
    " or dag_run.run_after.replace(hour=0, minute=0, second=0, microsecond=0) %}"
)


def nightly_form() -> Form:
    """Return the form of a sync whose runs each copy one day: that of their data interval."""
    fields = {
        **_first_fields(),
        "day_folder": field(
            "Day folder",
            "How the run's day follows the prefix, such as `%Y/%m/%d/` or `dt=%Y-%m-%d/`: only its keys. Empty: any day's.",
            env("DAY_FOLDER"),
            type=TEXT,
        ),
        "only_modified": field(
            "Only what the day modified",
            "Only keys last modified on the run's day, or in the hours before it (*Look back*, below).",
            env_flag("ONLY_MODIFIED", default=False),
            type="boolean",
        ),
        **_destination_fields(),
        "dry_run": field(
            "Dry run",
            "Only report what would be copied, and what it would cost. Ticked until `S3_TO_AZURE_DRY_RUN` is `false`, "
            "because triggering unpauses the DAG, which starts last night's scheduled run with the defaults of this form.",
            env_flag("DRY_RUN", default=True),
            type="boolean",
        ),
        "lookback_hours": field(
            "Look back (hours)",
            "With *Only what the day modified*: also select keys modified this long before the day. S3 dates a multipart "
            "upload by its start, so an upload over midnight would otherwise be in no day.",
            24,
            type="number",
            minimum=0,
            section=MORE,
        ),
        **_other_fields(),
    }
    modified = "{% if params.only_modified %}"
    before = "{{ dag_run.data_interval_end or day + macros.timedelta(days=1) }}"
    return _form(
        fields,
        first_day=_DAY + "{% if params.day_folder %}{{ day | ds }}{% endif %}",
        last_day=_DAY + "{% if params.day_folder %}{{ day | ds }}{% endif %}",
        modified_since=_DAY + modified + "{{ day - macros.timedelta(hours=params.lookback_hours) }}{% endif %}",
        modified_before=_DAY + modified + before + "{% endif %}",
    )


def history_form() -> Form:
    """Return the form of a sync over a range of days."""
    fields = {
        **_first_fields(),
        "first_day": field("First day", "In UTC. Empty: from the beginning.", None, type=TEXT, format="date"),
        "last_day": field("Last day", "This day included. Empty: to the end.", None, type=TEXT, format="date"),
        "day_folder": field(
            "Day folder",
            "How a day follows the prefix, such as `%Y/%m/%d/` or `dt=%Y-%m-%d/`: the range means the day in the key. "
            "Empty: it means when it was last modified.",
            env("DAY_FOLDER"),
            type=TEXT,
        ),
        **_destination_fields(),
        "dry_run": _dry_run_field(),
        "s3_keys": {**_keys_field("Only those under the prefix and of the days are copied."), "section": MORE},
        **{name: {**one, "section": MORE} for name, one in _archive_fields().items()},
        **_other_fields(),
    }
    return _form(
        fields,
        day_folder="{{ (params.day_folder or '') if params.first_day or params.last_day else '' }}",
        first_day="{{ (params.first_day or '') if params.day_folder else '' }}",
        last_day="{{ (params.last_day or '') if params.day_folder else '' }}",
        modified_since="{% if params.first_day and not params.day_folder %}{{ params.first_day }}T00:00Z{% endif %}",
        modified_before="{% if params.last_day and not params.day_folder %}"
        "{{ macros.ds_add(params.last_day, 1) }}T00:00Z{% endif %}",
    )


def events_form() -> Form:
    """Return the form of a sync of the keys that events announce."""
    fields = {
        **_first_fields(),
        **_destination_fields(),
        "dry_run": field(
            "Dry run",
            "Only report what would be copied, and what it would cost. Ticked until `S3_TO_AZURE_DRY_RUN` is `false`. "
            "A dry run uses up its events.",
            env_flag("DRY_RUN", default=True),
            type="boolean",
        ),
        **_other_fields(),
    }
    return _form(fields)


def _archive_fields() -> dict[str, dict[str, Any]]:
    return {
        "archived": field(
            "Archived objects",
            "What becomes of objects in Glacier, Deep Archive or an archive tier of Intelligent-Tiering.",
            "skip",
            type="string",
            enum=["skip", "restore", "fail"],
            values_display={
                "skip": "skip: leave them out, and count them",
                "restore": "restore: after your approval; each is copied once it is readable",
                "fail": "fail: their keys fail",
            },
        ),
        "restore_tier": field(
            "Restore tier",
            "How soon S3 restores an object, if *Archived objects* is *restore*. The sooner, the more expensive.",
            "Bulk",
            type="string",
            enum=["Bulk", "Standard", "Expedited"],
            values_display={
                "Bulk": "Bulk: 5 to 12 hours; Deep Archive up to 48",
                "Standard": "Standard: 3 to 5 hours; Deep Archive up to 12",
                "Expedited": "Expedited: 1 to 5 minutes; not for Deep Archive",
            },
        ),
        "restore_price_per_gib": field(
            "Restore price per GiB",
            "What the restore of a GiB costs you, in any currency, for the price in the approval.",
            None,
            type=["null", "number"],
            minimum=0,
        ),
    }


def keys_form() -> Form:
    """Return the form of a copy of single keys."""
    fields = {
        "s3_bucket": _first_fields()["s3_bucket"],
        "s3_keys": _keys_field("Empty: all keys under the prefix."),
        "s3_prefix": field("S3 prefix", "Of the keys only those that begin with this. Empty: all.", None, type=TEXT),
        **_destination_fields(),
        "dry_run": _dry_run_field(),
        **_other_fields(),
    }
    return _form(fields)


def _keys_field(description: str) -> dict[str, Any]:
    return field(
        "Keys",
        "One key on each line; or, on one line, the URL of a list such as `s3://acme-lists/keys.csv`. " + description,
        None,
        type=["null", "array"],
        items={"type": "string"},
    )


def _dry_run_field() -> dict[str, Any]:
    return field("Dry run", "Only report what would be copied, and what it would cost.", default=False, type="boolean")


def _form(fields: Mapping[str, Mapping[str, Any]], **templates: str) -> Form:
    """Return a form whose fields are arguments of the sync; ``templates`` replaces those that combine several fields."""
    own = {name for name in fields if name not in ("only_modified", "lookback_hours", "s3_keys")}
    arguments = {name: template(name, fields[name]) for name in own}
    if "s3_keys" in fields:  # a param `keys` would be a method of `params` in a template
        arguments["keys"] = template("s3_keys", fields["s3_keys"])
    return Form(params_of(fields), {**arguments, **templates})


def _first_fields() -> dict[str, dict[str, Any]]:
    return {
        "s3_bucket": {**field("S3 bucket", "Bucket to copy from.", None, type="string"), **bucket_choice()},
        "s3_prefix": field(
            "S3 prefix",
            "Only keys that begin with this, such as `exports/`. Empty: all.",
            env("PREFIX"),
            type=TEXT,
        ),
    }


def _destination_fields() -> dict[str, dict[str, Any]]:
    container = container_choice()
    return {
        "container_name": {**field("Azure container", "Container to copy to.", None, type="string"), **container},
        "blob_prefix": field(
            "Blob prefix",
            "Put before each key to make the blob's name, such as `from-s3/`. Empty: the key is the name.",
            env("BLOB_PREFIX"),
            type=TEXT,
        ),
    }


def _other_fields() -> dict[str, dict[str, Any]]:
    """Return the fields of the section that is folded when the form opens."""
    fields = {**_selection_fields(), **_copy_fields(), **_limit_fields()}
    return {name: {**one, "section": MORE} for name, one in fields.items()}


def _selection_fields() -> dict[str, dict[str, Any]]:
    globs = {"type": ["null", "array"], "items": {"type": "string"}}
    return {
        "include": field(
            "Include",
            "Globs over the whole key, one on each line, such as `**/*.parquet`; one must match. Empty: all do.",
            None,
            **globs,
        ),
        "exclude": field(
            "Exclude",
            "Globs over the whole key, one on each line, such as `**/_temporary/**`; none may match.",
            None,
            **globs,
        ),
        "compare": field(
            "Compare by",
            "What makes a blob count as `unchanged`.",
            "etag",
            type="string",
            enum=["etag", "checksum", "size", "always"],
            values_display={
                "etag": "etag: the object's ETag and size, as recorded on the blob",
                "checksum": "checksum: the same; blobs of other tools are read back and compared",
                "size": "size: the blob has the object's size",
                "always": "always: copy everything again",
            },
        ),
    }


def _copy_fields() -> dict[str, dict[str, Any]]:
    return {
        "overwrite": field(
            "Overwrite",
            "Replace blobs that differ. Off: a blob that exists is left alone, and its key is `skipped`.",
            default=True,
            type="boolean",
        ),
        "create_container": field(
            "Create the container",
            "Create the container if it is missing. Off: that is an error, so that a misspelled name creates nothing.",
            default=False,
            type="boolean",
        ),
        "mode": field(
            "Transfer mode",
            "`server_side` needs an S3 that Azure can reach, and verifies only against a CRC64NVME that S3 stores.",
            "stream",
            type="string",
            enum=["stream", "server_side"],
            values_display={
                "stream": "stream: through the workers",
                "server_side": "server_side: Azure reads from S3",
            },
        ),
    }


def _limit_fields() -> dict[str, dict[str, Any]]:
    return {
        "egress_price_per_gib": field(
            "Price per GiB",
            "What a GiB out of S3 costs you, in any currency, for the price of the plan.",
            None,
            type=["null", "number"],
            minimum=0,
        ),
        "max_objects": field(
            "Max objects", "Fail without copying if there are more to copy. Empty: no limit.", None, **NUMBER
        ),
        "max_bytes": field(
            "Max bytes", "Fail without copying if there are more to copy. Empty: no limit.", None, **NUMBER
        ),
    }
