"""The approval of restores: when it is requested, what it shows, and what it allows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.operators import S3ToAzureCopyBatchOperator
from airflow_s3_azure.operators.restore import S3ToAzureApproveRestoreOperator, question
from airflow_s3_azure.sync.ledger import run_folder
from airflow_s3_azure.sync.references import BatchReference
from tests.operators.test_delete import TaskInstance, show_question

GIB = 1024**3
FOLDER = "_s3_to_azure/plan"


def totals(size: int = 2 * GIB, folder: str = FOLDER, **values: Any) -> dict[str, Any]:
    """Return a plan's totals in XCom."""
    archived = {"objects": 2 if size else 0, "size": size, "tier": "Bulk", "days": 7, "price": 0.05}
    return {"folder": folder, "source": "s3://b/in/", "settled": {}, "dry_run": False, "archived": archived, **values}


class Asked(Exception):
    """A human was asked."""


def approve(monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any], **arguments: Any) -> tuple[Any, TaskInstance]:
    """Return the operator and its task instance, before it runs."""
    operator = S3ToAzureApproveRestoreOperator(
        task_id="approve", plan_task_id="plan", response_timeout=timedelta(hours=1), **arguments
    )

    def ask(self: Any, _: Any) -> None:
        raise Asked(self.body)

    show_question(monkeypatch)
    base = S3ToAzureApproveRestoreOperator.__mro__[1]
    monkeypatch.setattr(base, "execute", ask)
    monkeypatch.setattr(base, "execute_complete", lambda *_: "response")
    return operator, TaskInstance({("plan", "plan"): plan})


@pytest.mark.parametrize(
    ("plan", "arguments"),
    [
        (totals(), {"approve_above": None}),
        (totals(), {"approve_above": "2 GiB"}),
        (totals(), {"archived": "skip"}),
        (totals(0), {}),
        (totals(archived={"objects": 0, "size": 0}), {}),
    ],
)
def test_no_approval_is_requested_within_the_budget(
    monkeypatch: pytest.MonkeyPatch, plan: dict[str, Any], arguments: dict[str, Any]
) -> None:
    """The plan is approved, also for the archive tiers that no listing shows."""
    operator, ti = approve(monkeypatch, plan, **arguments)

    operator.execute({"ti": ti})

    assert ti.pushed == {"restores": [FOLDER]}


@pytest.mark.parametrize("above", [0, "1 GiB", "{{ 5 }}"])
def test_an_approval_is_requested_above_the_budget(monkeypatch: pytest.MonkeyPatch, above: Any) -> None:
    """Nothing is approved until somebody responds."""
    operator, ti = approve(monkeypatch, totals(), approve_above=above)
    operator.render_template_fields({})

    with pytest.raises(Asked, match="2 archived objects"):
        operator.execute({"ti": ti})

    assert ti.pushed == {"submitted": [FOLDER]}


@pytest.mark.parametrize(("chosen", "approved"), [("Approve", [FOLDER]), ("Reject", None)])
def test_a_response_approves_what_was_shown(
    monkeypatch: pytest.MonkeyPatch, chosen: str, approved: list[str] | None
) -> None:
    """Not what a plan would restore that was made since."""
    operator, ti = approve(monkeypatch, totals(folder="_s3_to_azure/newer"))
    ti.xcoms["approve", "submitted"] = [FOLDER]

    assert operator.execute_complete({"ti": ti}, {"chosen_options": [chosen]}) == "response"
    assert ti.pushed.get("restores") == approved


def test_a_wrong_budget_fails_without_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name."""
    operator, ti = approve(monkeypatch, totals(), approve_above="much")

    with pytest.raises(AirflowFailException, match="approve_restore_above is 'much'; it takes a size in bytes"):
        operator.execute({"ti": ti})


def test_the_question_has_the_size_and_the_price() -> None:
    """Of all plans; keys are untrusted text."""
    plans = [totals(), totals(3 * GIB, source="s3://b/`x/")]

    restored = "**4 archived objects** (5.0 GiB) must be restored before they can be copied"

    assert question(plans).splitlines() == [
        f"{restored}: tier Bulk, readable for 7 days. Price of the restore: 0.10.",
        "",
        "* 2 in `s3://b/in/`",
        r"* 2 in `s3://b/\x60x/`",
        "",
        "Rejected, they are skipped, and all other objects are copied.",
    ]


@pytest.mark.parametrize(
    ("folders", "archived"), [([FOLDER], "restore"), (["_s3_to_azure/other"], "skip"), (None, "skip")]
)
def test_a_batch_restores_only_what_was_approved(folders: list[str] | None, archived: str) -> None:
    """A rejected approval, one of another plan, and one that was marked as a success by hand skip archived objects."""
    operator = S3ToAzureCopyBatchOperator(
        task_id="copy", s3_bucket="bucket", container_name="landing", batch={}, approve_task_id="approve"
    )
    reference = BatchReference(FOLDER, 0, "k", 1, 5, 0, 9, "", '"etag"', ())
    ti = TaskInstance({("approve", "restores"): folders})

    assert operator._approved(ti, reference, CopyOptions(archived="restore")).archived == archived
    assert operator._approved(ti, reference, CopyOptions(archived="fail")).archived == "fail"


@pytest.mark.parametrize(("is_approved", "archived"), [(True, "restore"), (False, "skip")])
def test_a_batch_in_the_triggerer_restores_only_what_was_approved(*, is_approved: bool, archived: str) -> None:
    """With ``deferrable=True`` the approval is read before the trigger starts."""
    run = run_folder("dag", "run")
    reference = BatchReference(f"{run}/plan", 0, "k", 1, 5, 0, 9, "", '"etag"', ((9, 1, "digest"),))
    operator = S3ToAzureCopyBatchOperator(
        task_id="copy",
        s3_bucket="bucket",
        container_name="landing",
        batch=reference.as_json(run),
        approve_task_id="approve",
        mode="server_side",
        deferrable=True,
        archived="restore",
    )
    ti = TaskInstance({("approve", "restores"): [reference.folder] if is_approved else None})
    ti.max_tries = 0

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({"ti": ti})  # type: ignore[typeddict-item]

    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_s3_azure.triggers.ServerSideBatchTrigger"
    assert arguments["options"]["archived"] == archived
