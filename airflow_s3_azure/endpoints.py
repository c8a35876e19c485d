"""The source and the destination of a copy, as one value from the operators to the connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Endpoints:
    """A bucket and a container, each with the Airflow connection that reaches it. It holds no credential.

    :param aws_conn_id: Airflow connection to S3; None: boto3's default credentials
    :param wasb_conn_id: Airflow connection to Azure Blob Storage
    :param create_container: create the container if it is missing
    :param requester_pays: agree to pay for a requester-pays bucket
    """

    s3_bucket: str
    container_name: str
    aws_conn_id: str | None = "aws_default"
    wasb_conn_id: str = "wasb_default"
    create_container: bool = False
    requester_pays: bool = False

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the endpoints that were :meth:`as_json`."""
        return cls(**found)

    def as_json(self) -> dict[str, Any]:
        """Return the endpoints as a trigger is serialized."""
        return asdict(self)
