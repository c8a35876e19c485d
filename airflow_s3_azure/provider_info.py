"""What Airflow's providers manager is told about this package."""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description; Airflow checks it against its ``provider_info.schema.json``."""
    s3, azure = "Amazon S3", "Azure Blob Storage"
    links = "airflow_s3_azure.links"
    return {
        "package-name": "airflow-s3-azure",
        "name": "S3 to Azure",
        "description": "Streams objects from Amazon S3 to Azure Blob Storage, block by block, verified, nothing on disk.",
        "integrations": [
            {"integration-name": s3, "external-doc-url": "https://docs.aws.amazon.com/s3/", "tags": ["aws"]},
            {
                "integration-name": azure,
                "external-doc-url": "https://learn.microsoft.com/azure/storage/blobs/",
                "tags": ["azure"],
            },
        ],
        "transfers": [
            {
                "source-integration-name": s3,
                "target-integration-name": azure,
                "python-module": "airflow_s3_azure.operators",
            }
        ],
        "triggers": [{"integration-name": azure, "python-modules": ["airflow_s3_azure.triggers"]}],
        "extra-links": [f"{links}.S3ConsoleLink", f"{links}.AzurePortalLink", f"{links}.LedgerLink"],
    }
