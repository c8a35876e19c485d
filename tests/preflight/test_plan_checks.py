"""The checks of a plan: what they stop, and that they cost next to nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.http.message import Headers
from airflow_s3_azure.preflight.plan_checks import PlanChecks
from tests.faults.http1 import Request
from tests.faults.proxy import Refuse
from tests.sync_group.conftest import logged, sync  # noqa: F401 - fixtures

if TYPE_CHECKING:
    from tests.faults.recorded import Recorded
    from tests.sync_group.nights import Sync

with_servers = [pytest.mark.servers, pytest.mark.airflow]
KEYS = [f"in/{number}" for number in range(4)]


def _is_first_byte(request: Request) -> bool:
    return request.headers.get("range") == "bytes=0-0"


class TestPlans:
    """Syncs through Airflow, between the two servers."""

    pytestmark = with_servers

    def test_a_plan_fails_if_none_of_its_first_objects_may_be_read(
        self,
        sync: Sync,  # noqa: F811
        to_s3: Recorded,
        logged: Callable[[], str],  # noqa: F811
    ) -> None:
        """Before a batch is copied; the error has the line of the policy, and how to go on without the check."""
        sync.put(*KEYS)
        to_s3.proxy.strike(Refuse(403, "AccessDenied"), _is_first_byte, times=None)

        night = sync.night(s3_prefix="in/", retries=0)

        assert night.states()["plan"] == "failed"
        assert sync.blobs() == {}
        text = logged()
        assert "PreflightFailed: none of the first 3 objects may be read, so no copy can succeed" in text
        assert f'"Resource": "arn:aws:s3:::{sync.bucket.name}/in/*"' in text
        assert "set preflight=False to plan without this check" in text

    def test_one_object_that_is_denied_does_not_stop_the_others(self, sync: Sync, to_s3: Recorded) -> None:  # noqa: F811
        """It becomes a row of the ledger, if it is denied to the copy too."""
        sync.put(*KEYS)
        rule = to_s3.proxy.strike(Refuse(403, "AccessDenied"), _is_first_byte, times=2)

        night = sync.night(retries=0)

        assert (night.state, rule.struck, len(sync.blobs())) == ("success", 2, len(KEYS))

    def test_a_sync_of_unchanged_objects_costs_no_request_more(
        self,
        sync: Sync,  # noqa: F811
        to_s3: Recorded,
        to_azure: Recorded,
    ) -> None:
        """Of one that copies, one request more; with preflight=False none."""
        sync.put(*KEYS)
        sync.night(retries=0)
        assert sum(map(_is_first_byte, to_s3.requests)) == 1
        assert not any(request.query.get("restype") == "account" for request in to_azure.requests)

        to_s3.requests.clear()
        sync.night(retries=0)
        assert {request.query.get("list-type") for request in to_s3.requests if request.method == "GET"} == {"2"}

        sync.put("in/new")
        to_s3.requests.clear()
        sync.night(retries=0, preflight=False)
        assert not any(map(_is_first_byte, to_s3.requests))

    def test_tags_for_an_account_that_holds_none_fail_the_plan(
        self,
        sync: Sync,  # noqa: F811
        monkeypatch: pytest.MonkeyPatch,
        logged: Callable[[], str],  # noqa: F811
    ) -> None:
        """The header is that of Get Account Information; Azurite has flat namespaces only."""
        sync.put(*KEYS)
        hierarchical = Headers.from_lower_case({"x-ms-is-hns-enabled": "true"})
        monkeypatch.setattr(BlobContainer, "properties", lambda *_: hierarchical)

        night = sync.night(copy_tags=True, retries=0)

        assert night.states()["plan"] == "failed"
        assert "hierarchical namespace, which holds no blob index tags" in logged()


def test_a_clock_that_differs_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """From the responses that a plan gets anyway; a small difference is none."""
    checks = PlanChecks()
    checks.s3.clock_difference, checks.azure.clock_difference = 90.0, -0.5

    with caplog.at_level(logging.WARNING, logger="airflow_s3_azure"):
        checks.log_clocks()

    assert [record.getMessage() for record in caplog.records] == [
        "the clock of this worker is 90 s ahead of S3's: synchronize it (NTP)"
    ]
