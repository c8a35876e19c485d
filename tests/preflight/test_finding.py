"""The policy line of each permission is one that its service takes."""

from __future__ import annotations

import json

import pytest

from airflow_s3_azure.preflight.finding import CONTAINERS, Permission


@pytest.mark.parametrize(
    ("action", "prefix", "expected"),
    [
        (
            "s3:ListBucket",
            "exports/",
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": "arn:aws:s3:::acme",
                "Condition": {"StringLike": {"s3:prefix": ["exports/*"]}},
            },
        ),
        ("s3:ListBucket", "", {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::acme"}),
        (
            "s3:GetObject",
            "exports/",
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme/exports/*"},
        ),
    ],
)
def test_the_line_of_an_iam_policy_is_a_statement(action: str, prefix: str, expected: object) -> None:
    """With the narrowest resource that copies need."""
    assert json.loads(Permission(action).policy_line("acme", prefix)) == expected


def test_an_access_point_is_its_own_resource() -> None:
    """Its ARN takes the place of the bucket's."""
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/acme"

    assert json.loads(Permission("s3:GetObject").policy_line(arn, "a/"))["Resource"] == f"{arn}/a/*"


@pytest.mark.parametrize(
    ("permission", "expected"),
    [
        (
            Permission(f"{CONTAINERS}/blobs/write", "cw"),
            f'"DataActions": ["{CONTAINERS}/blobs/write"], or cw in the SAS',
        ),
        (Permission(f"{CONTAINERS}/read"), f'"Actions": ["{CONTAINERS}/read"]'),
    ],
)
def test_the_line_of_an_azure_role_names_the_kind_of_action(permission: Permission, expected: str) -> None:
    """A data action in Actions allows nothing."""
    assert permission.policy_line("acme", "") == expected
