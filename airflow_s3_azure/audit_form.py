"""The trigger form of the shipped audit."""

from __future__ import annotations

from typing import Any

from airflow_s3_azure.form_fields import (
    MORE,
    NUMBER,
    TEXT,
    Form,
    container_choice,
    env,
    env_flag,
    env_number,
    field,
    params_of,
    template,
)

__all__ = ["audit_form"]


def audit_form() -> Form:
    """Return the form of an audit; its arguments are those of the audit operator."""
    fields = {
        "container_name": {
            **field("Azure container", "Container to audit.", None, type="string"),
            **container_choice(),
        },
        "ledger": field(
            "Ledger",
            "Whose ledger is the truth: the ID of a DAG, `<dag_id>/<run_id>` for one run, or the URL of a run's ledger. "
            "Empty: every sync that wrote to the container.",
            env("AUDIT_LEDGER"),
            type=TEXT,
        ),
        "runs": field(
            "Runs",
            "Which runs of a sync are the truth.",
            env("AUDIT_RUNS") or "newest",
            type="string",
            enum=["newest", "all"],
            values_display={
                "newest": "newest: the newest complete run, which lists all keys that it selected",
                "all": "all: every run, where each copies another day; the newest row decides",
            },
        ),
        "deep": field(
            "Deep",
            "Also read blobs back and compare the CRC-64 of their content: all of them, unless a sample or nights are given.",
            env_flag("AUDIT_DEEP", default=False),
            type="boolean",
        ),
        "sample": field(
            "Sample",
            "With *Deep*: read only this share of the blobs, such as `0.01`. Empty: all.",
            env_number("AUDIT_SAMPLE"),
            type=["null", "number"],
            minimum=0,
            maximum=1,
        ),
        "nights": field(
            "Nights",
            "With *Deep*: read all blobs over this many nights, each night another part. Empty: all at once.",
            env_number("AUDIT_NIGHTS"),
            type=["null", "integer"],
            minimum=1,
        ),
        **{name: {**one, "section": MORE} for name, one in _audit_other_fields().items()},
    }
    return Form(params_of(fields), {name: template(name, fields[name]) for name in fields})


def _audit_other_fields() -> dict[str, dict[str, Any]]:
    return {
        "compare_with": field(
            "Compare with",
            "What is recorded of the blobs.",
            "ledger",
            type="string",
            enum=["ledger", "records"],
            values_display={
                "ledger": "ledger: the ledgers of the container's syncs",
                "records": "records: the records on the blobs themselves, which cannot say what is missing",
            },
        ),
        "blob_prefix": field("Blob prefix", "Only blobs whose name begins with this. Empty: all.", None, type=TEXT),
        "seed": field(
            "Seed",
            "Chooses the sample: the same seed chooses the same blobs. Empty: the ID of the run.",
            None,
            type=TEXT,
        ),
        "night": field("Night", "Which of the nights' parts, from 0. Empty: by the day of the run.", None, **NUMBER),
        "max_bandwidth": field(
            "Max bandwidth",
            "Bytes per second that are read at most, such as `50 MB`. Empty: no limit.",
            env("AUDIT_MAX_BANDWIDTH"),
            type=TEXT,
        ),
    }
