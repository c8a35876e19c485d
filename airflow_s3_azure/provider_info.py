"""The provider's description, read by Airflow's providers manager."""

from __future__ import annotations

from typing import Any

SECTION = "s3_to_azure"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description; Airflow checks it against its ``provider_info.schema.json``."""
    # The names of Airflow's own providers, so that registries list this one beside them.
    s3, azure = "Amazon Simple Storage Service (S3)", "Microsoft Azure Blob Storage"
    links = "airflow_s3_azure.links"
    guide = "/docs/how-to/your-own-dag.md"
    return {
        "package-name": "airflow-s3-azure",
        "name": "S3 to Azure",
        "description": "Streams objects from Amazon S3 to Azure Blob Storage, block by block, verified, nothing on disk.",
        "integrations": [
            {
                "integration-name": s3,
                "external-doc-url": "https://aws.amazon.com/s3/",
                "how-to-guide": [guide],
                "logo": _LOGO,
                "tags": ["aws"],
            },
            {
                "integration-name": azure,
                "external-doc-url": "https://azure.microsoft.com/en-us/services/storage/blobs/",
                "how-to-guide": [guide, "/docs/how-to/audit.md", "/docs/how-to/preflight.md"],
                "logo": _LOGO,
                "tags": ["azure"],
            },
        ],
        "operators": [{"integration-name": azure, "python-modules": ["airflow_s3_azure.operators"]}],
        "transfers": [
            {
                "source-integration-name": s3,
                "target-integration-name": azure,
                "how-to-guide": guide,
                "python-module": "airflow_s3_azure.operators",
            }
        ],
        "triggers": [{"integration-name": azure, "python-modules": ["airflow_s3_azure.triggers"]}],
        "config": {SECTION: {"description": _GUARDRAILS, "options": _options()}},
        "cli": ["airflow_s3_azure.cli.definition.get_commands"],
        "extra-links": [f"{links}.S3ConsoleLink", f"{links}.AzurePortalLink", f"{links}.LedgerLink"],
    }


_LOGO = "/s3-to-azure/icon.svg"
"""Served by the plugin (:mod:`airflow_s3_azure.ui`)."""
_GUARDRAILS = "Limits of copies from S3 to Azure that no DAG argument and no run conf can exceed."


def _options() -> dict[str, Any]:
    """Return the guardrails; :mod:`airflow_s3_azure.guardrails` reads them."""
    patterns = (
        "Patterns, separated by commas; empty: any. * stands for any text, slashes too. A bucket or container alone, "
    )
    patterns += "and a prefix that ends in a slash, stand for all that is in them."
    return {
        "allowed_sources": _option("string", "", f"What may be read. {patterns}", "s3://acme-exports/*"),
        "allowed_destinations": _option(
            "string",
            "",
            f"Where blobs may be written: by URL or by connection. {patterns}",
            "https://acme.blob.core.windows.net/landing/*, wasb_default/landing",
        ),
        "max_bytes_per_run": _option("string", "", "Bytes that one run may copy; empty: any.", "10 TiB"),
        "max_objects_per_run": _option("string", "", "Objects that one run may copy; empty: any.", "1000000"),
        "allow_delete": _option(
            "boolean",
            "True",
            "Whether a sync may delete orphaned blobs (copies whose key is gone), and a copy an archived blob that it replaces.",
            None,
        ),
        "allow_server_side_copy": _option(
            "boolean", "True", "Whether presigned URLs may be sent to Azure for server-side copies.", None
        ),
    }


def _option(kind: str, default: str, description: str, example: str | None) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": kind,
        "example": example,
        "default": default,
    }
