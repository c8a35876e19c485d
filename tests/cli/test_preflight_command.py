"""``airflow s3-azure preflight``."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.preflight.catalog import NAMES
from tests.faults.proxy import Refuse
from tests.preflight.conftest import PREFIX, Preflight, preflight, scheme  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from tests.cli.conftest import Airflow

pytestmark = [pytest.mark.airflow]
QUICK = [f"--skip={name}" for name in ("azure-rejected-block", "azure-concurrent-blocks", "idle-connections")]


@pytest.mark.servers
def test_the_checks_are_printed_as_a_table(airflow: Airflow, preflight: Preflight) -> None:  # noqa: F811
    """With a closing line; amber is no failure."""
    container = str(preflight.container.container_name)

    done = airflow("preflight", f"s3://{preflight.bucket.name}/{PREFIX}", f"{container}/to/", *QUICK)

    assert (done.code, done.err) == (0, "")
    assert f"s3://{preflight.bucket.name}/{PREFIX} → {preflight.azure.url}/devstoreaccount1/{container}" in done.out
    assert "s3-range" in done.out
    assert "206 with the object's ETag, 412 with another one" in done.out
    assert "guardrails: none" in done.out
    assert preflight.blobs() == []


@pytest.mark.servers
def test_a_red_check_fails_the_command(airflow: Airflow, preflight: Preflight) -> None:  # noqa: F811
    """The result is whole; standard error names the missing action."""
    preflight.s3.strike(Refuse(403, "AccessDenied"), lambda request: "range" in request.headers, times=None)
    arguments = (f"s3://{preflight.bucket.name}/{PREFIX}", str(preflight.container.container_name), *QUICK)

    as_json, as_csv = (airflow("preflight", *arguments, "--output", one) for one in ("json", "csv"))

    assert (as_json.code, as_csv.code) == (1, 1)
    assert "PreflightFailed: 1 of 28 checks are red" in as_json.err
    found = json.loads(as_json.out)
    rows = list(csv.DictReader(io.StringIO(as_csv.out)))
    assert [one["name"] for one in found["checks"]] == [row["name"] for row in rows] == list(NAMES)
    assert [row["action"] for row in rows if row["status"] == "red"] == ["s3:GetObject"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bucket/prefix", "landing"], "it takes s3://bucket/key"),
        (["s3://bucket/", "landing", "--skip", "azure-tag"], "'azure-tag', which is no check of the preflight"),
        (["s3://bucket/", "https://a.blob.core.windows.net/landing?sig=SECRET"], "the destination has credentials"),
        (["s3://bucket/", "Landing"], "container"),
    ],
)
def test_wrong_arguments_are_named(airflow: Airflow, arguments: list[str], message: str) -> None:
    """With the exit code of a usage error, and nothing on standard output."""
    done = airflow("preflight", *arguments)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "SECRET" not in done.err
