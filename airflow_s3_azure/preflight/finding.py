"""What a check finds, and the permission that it needs. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

Service = Literal["S3", "Azure", "S3 and Azure"]
Status = Literal["green", "amber", "red", "skipped"]
"""``green``: proven; ``amber``: a feature is not available; ``red``: a copy would fail; ``skipped``: not run."""

CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"


@dataclass(frozen=True, slots=True)
class Permission:
    """What an identity must be allowed.

    :param action: of AWS IAM, or a data action of Azure RBAC
    :param sas: the letters of a SAS that allow it
    """

    action: str
    sas: str = ""

    def policy_line(self, bucket: str, prefix: str) -> str:
        """Return the line that a policy of AWS, or a role of Azure, needs.

        :param prefix: of the keys to copy
        """
        if self.action.startswith("Microsoft."):
            key = "DataActions" if "/blobs/" in self.action or "/getInfo/" in self.action else "Actions"
            line = f'"{key}": ["{self.action}"]'
            return f"{line}, or {self.sas} in the SAS" if self.sas else line
        resource = bucket if bucket.startswith("arn:") else f"arn:aws:s3:::{bucket}"
        statement: dict[str, object] = {"Effect": "Allow", "Action": self.action, "Resource": resource}
        if self.action == "s3:ListBucket":
            statement |= {"Condition": {"StringLike": {"s3:prefix": [f"{prefix}*"]}}} if prefix else {}
        else:
            statement["Resource"] = f"{resource}/{prefix}*"
        return json.dumps(statement, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    :param consequence: of a status that is not green, for a copy
    """

    status: Status
    detail: str
    consequence: str = ""


def green(detail: str) -> Finding:
    """Return that the check proved what it proves."""
    return Finding("green", detail)


def amber(detail: str, consequence: str) -> Finding:
    """Return that a feature is not available."""
    return Finding("amber", detail, consequence)


def red(detail: str) -> Finding:
    """Return that a copy would fail."""
    return Finding("red", detail)


def skipped(detail: str) -> Finding:
    """Return why the check was not run."""
    return Finding("skipped", detail)
