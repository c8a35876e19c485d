"""The accounts of ``make test-cloud``, from the environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

NEEDED = {
    "CLOUD_AWS": "an Airflow connection of type aws, as a URI or as JSON (empty: boto3's default credentials)",
    "CLOUD_BUCKET": "a bucket",
    "CLOUD_WASB": "an Airflow connection of type wasb, as a URI or as JSON",
    "CLOUD_CONTAINER": "a container that exists",
}
OPTIONAL = {
    "CLOUD_PREFIX": "of the objects that are written to the bucket, below a random name (default: none)",
    "CLOUD_BLOB_PREFIX": "of the blobs that are written to the container, below a random name (default: none)",
    "CLOUD_TABLE": "the page that gets the row (default: docs/compatibility.md)",
}
HELP = "\n".join(
    [
        "make test-cloud runs the preflight and the fakes' contract tests on real accounts. It sends at most 150 requests to each",
        "service for the preflight, some 120 for the contract tests, and less than 13 MiB. Everything is below random names, and",
        "is removed. The identity needs s3:PutObject and s3:DeleteObject, and to delete blobs. Set:",
        "",
        *(f"  {name:18} {text}" for name, text in NEEDED.items()),
        *(f"  {name:18} {text}" for name, text in OPTIONAL.items()),
        "",
    ]
)


@dataclass(frozen=True, slots=True)
class Accounts:
    """A bucket and a container of real accounts.

    :param aws: the connection; empty: boto3's default credentials
    :param name: random, of everything that is written
    """

    aws: str
    bucket: str
    wasb: str
    container: str
    prefix: str = ""
    blob_prefix: str = ""
    name: str = field(default_factory=lambda: f"s3-to-azure-test-{secrets.token_hex(6)}")

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """Return the accounts; None if one of the variables is missing."""
        if not NEEDED.keys() <= environment.keys():
            return None
        return cls(
            aws=environment["CLOUD_AWS"],
            bucket=environment["CLOUD_BUCKET"],
            wasb=environment["CLOUD_WASB"],
            container=environment["CLOUD_CONTAINER"],
            prefix=environment.get("CLOUD_PREFIX", ""),
            blob_prefix=environment.get("CLOUD_BLOB_PREFIX", ""),
        )

    @property
    def aws_conn_id(self) -> str | None:
        """The ID of the connection to S3."""
        return "cloud_aws" if self.aws else None

    def connections(self) -> dict[str, str]:
        """Return the variables in which Airflow finds the connections."""
        found = {"AIRFLOW_CONN_CLOUD_WASB": self.wasb}
        return found | ({"AIRFLOW_CONN_CLOUD_AWS": self.aws} if self.aws else {})


def configured() -> Accounts | None:
    """Return the accounts of this process's environment."""
    return Accounts.of(os.environ)
