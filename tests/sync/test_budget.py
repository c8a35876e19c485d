"""How much a plan may copy."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.sync.budget import Budget
from tests.sync.plans import PATH, copied, listed, plan


@pytest.mark.parametrize(
    ("budget", "error"),
    [
        (Budget(max_objects=1), "there are 2 objects to copy, but max_objects is 1; nothing was copied"),
        (Budget(max_bytes=9), r"there are 10 bytes \(10 B\) to copy, but max_bytes is 9; nothing was copied"),
        (Budget(max_objects=0), "there are 2 objects to copy, but max_objects is 0"),
    ],
)
def test_a_plan_beyond_its_budget_is_refused(budget: Budget, error: str) -> None:
    """What needs no copy costs nothing."""
    with pytest.raises(PlanError, match=error) as caught:
        plan([listed("a"), listed("b"), listed("c", 1000)], {"c": copied(1000)}, budget=budget)

    assert str(caught.value).endswith(f"The list is in https://account.example/container/{PATH}/manifest.jsonl")


def test_a_plan_within_its_budget_is_made() -> None:
    """The budget is an inclusive limit."""
    assert plan([listed("a"), listed("b")], budget=Budget(max_objects=2, max_bytes=10)).plan.objects == 2
