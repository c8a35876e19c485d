"""What a human approves is what Airflow shows: it keeps the first question of a task that is cleared."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.operators import delete, restore
from tests.operators import test_delete, test_restore
from tests.operators.test_delete import TaskInstance, show_question

pytestmark = pytest.mark.airflow

OTHER_BLOBS: dict[str, Any] = {"deletions": {"etag": '"0x1"', "digest": "other", "rows": 1}}
SAME_BLOBS: dict[str, Any] = {"deletions": {"etag": '"0x9"', "digest": "digest", "rows": 1}}


class Asked(Exception):
    """A human was asked."""


def _ask(monkeypatch: pytest.MonkeyPatch, module: Any, plan: dict[str, Any], stored: str) -> TaskInstance:
    """Request an approval where Airflow has stored a question; return the task instance if a human is asked."""
    made = {delete: delete.S3ToAzureApproveDeleteOperator, restore: restore.S3ToAzureApproveRestoreOperator}[module]
    operator = made(task_id="approve", plan_task_id="plan", response_timeout=timedelta(hours=1))

    def ask(*_: Any) -> None:
        raise Asked

    monkeypatch.setattr(made.__mro__[1], "execute", ask)
    show_question(monkeypatch, stored)
    ti = TaskInstance({("plan", "plan"): plan})
    try:
        with pytest.raises(Asked):
            operator.execute({"ti": ti})
    except AirflowFailException:
        assert ti.pushed == {}
        raise
    return ti


@pytest.mark.parametrize(
    ("module", "first", "now"),
    [
        (delete, test_delete.totals(), test_delete.totals(extra=4)),
        (delete, test_delete.totals(), test_delete.totals(**OTHER_BLOBS)),
        (restore, test_restore.totals(), test_restore.totals(3 * test_restore.GIB)),
    ],
    ids=["more blobs", "other blobs behind the first ten", "more to restore"],
)
def test_no_human_approves_what_the_page_does_not_show(
    monkeypatch: pytest.MonkeyPatch, module: Any, first: dict[str, Any], now: dict[str, Any]
) -> None:
    """The task fails at once, with what to do, and submits nothing."""
    with pytest.raises(AirflowFailException, match=r"no approval was requested: .* trigger a new run"):
        _ask(monkeypatch, module, now, module.question([first]))


@pytest.mark.parametrize(
    ("module", "first", "now"),
    [
        (delete, test_delete.totals(), test_delete.totals()),
        (delete, test_delete.totals(), test_delete.totals("_s3_to_azure/again", **SAME_BLOBS)),
        (restore, test_restore.totals(), test_restore.totals(folder="_s3_to_azure/again")),
    ],
    ids=["the same plan", "a plan for the same blobs", "a plan for the same restore"],
)
def test_a_question_that_is_still_right_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, module: Any, first: dict[str, Any], now: dict[str, Any]
) -> None:
    """Although a plan that was made again has another folder."""
    assert _ask(monkeypatch, module, now, module.question([first])).pushed


@pytest.mark.parametrize("line", ["\n", "\u2028", "\x0b", "`\r\n"])
def test_a_blob_cannot_pose_as_the_place_of_a_list(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A question is compared whole but for the places of the lists, and no name begins a line."""
    first, now = (test_delete.totals(extra_sample=[f"in/x{line}The list: {name}"]) for name in "ab")

    with pytest.raises(AirflowFailException, match="no approval was requested"):
        _ask(monkeypatch, delete, now, delete.question([first]))
