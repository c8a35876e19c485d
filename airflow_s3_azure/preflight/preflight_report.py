"""The results of a preflight, as XCom, the table and the UI show them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from airflow_s3_azure.engine.errors import PreflightFailed
from airflow_s3_azure.preflight.finding import Service, Status

ORDER: tuple[Status, ...] = ("red", "amber", "skipped", "green")
"""From the most important status on."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check.

    :param consequence: of what was found, for a copy; empty if it is green
    :param remedy: what to do; empty if it is green
    :param action: the permission that is missing, or without which the check cannot be green; empty: none
    :param policy: the line of a policy or a role that allows it
    :param request_id: the service's IDs of the request that failed
    """

    name: str
    service: Service
    status: Status
    proves: str
    detail: str
    consequence: str = ""
    remedy: str = ""
    action: str = ""
    policy: str = ""
    request_id: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """The results of all checks, in the order of the catalog.

    :param source: as ``s3://bucket/prefix``
    :param destination: URL of the container
    :param guardrails: of this Airflow that are in force, by their keys
    :param left: blobs that may not be removed
    :param requests: that were sent
    :param bytes_sent: to Azure
    """

    results: tuple[CheckResult, ...]
    source: str
    destination: str
    started_at: datetime
    seconds: float
    requests: int
    bytes_sent: int
    guardrails: Mapping[str, Any] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The worst status of a check that was run."""
        found = {one.status for one in self.results}
        return next((status for status in ("red", "amber") if status in found), "green")

    def counts(self) -> dict[str, int]:
        """Return how many checks have each status."""
        counts = Counter(one.status for one in self.results)
        return {status: counts[status] for status in ORDER}

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "status": self.status,
            "counts": self.counts(),
            "source": self.source,
            "destination": self.destination,
            "guardrails": dict(self.guardrails),
            "checks": [asdict(one) for one in self.results],
            "left": list(self.left),
            "requests": self.requests,
            "bytes_sent": self.bytes_sent,
            "started_at": self.started_at.isoformat(),
            "seconds": self.seconds,
        }

    def raise_failures(self) -> None:
        """Raise an error that names the checks that are red, if there are any.

        :raises PreflightFailed: with what to do for each
        """
        failed = [one for one in self.results if one.status == "red"]
        if not failed:
            return
        lines = [f"{len(failed)} of {len(self.results)} checks are red:"]
        for one in failed:
            lines.append(f"  {one.name}: {one.detail}")
            lines += [f"    {text}" for text in (one.remedy, one.policy and f"policy: {one.policy}") if text]
        raise PreflightFailed("\n".join(lines))
