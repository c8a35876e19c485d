"""The trigger form of the shipped preflight."""

from __future__ import annotations

from airflow_s3_azure.form_fields import (
    MORE,
    TEXT,
    Form,
    bucket_choice,
    container_choice,
    env,
    field,
    params_of,
    template,
)
from airflow_s3_azure.preflight.preflight_options import OPTIONAL

__all__ = ["preflight_form"]


def preflight_form() -> Form:
    """Return the form of a preflight; its arguments are those of the preflight operator."""
    fields = {
        "s3_bucket": {**field("S3 bucket", "Bucket to copy from.", None, type="string"), **bucket_choice()},
        "s3_prefix": field(
            "S3 prefix", "Prefix of the keys to copy. One object below it is read.", env("PREFIX"), type=TEXT
        ),
        "s3_key": field("Key", "The object to read. Empty: the first one below the prefix.", None, type=TEXT),
        "container_name": {
            **field("Azure container", "Container to copy to.", None, type="string"),
            **container_choice(),
        },
        "blob_prefix": field(
            "Blob prefix",
            "Where the small blobs of the checks are written, below a random name. They are removed afterwards.",
            env("BLOB_PREFIX"),
            type=TEXT,
        ),
        "write_source": field(
            "Write to the bucket",
            "Also write one small object with a difficult key below the prefix, read it, and delete it.",
            default=False,
            type="boolean",
        ),
        "skip": field(
            "Skip",
            "Checks that are not run. *idle-connections* takes 36 seconds.",
            None,
            type=["null", "array"],
            items={"type": "string"},
            examples=list(OPTIONAL),
            section=MORE,
        ),
    }
    return Form(params_of(fields), {name: template(name, fields[name]) for name in fields})
