"""The garbage collector is called less often while a plan is made, and as before afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.sync.collection import YOUNG, fewer_collections
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.fakes.memory_container import MemoryContainer
from tests.sync.plans import PATH


@pytest.fixture(autouse=True)
def _threshold() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.parametrize(
    ("young", "during"), [(700, YOUNG), (YOUNG + 1, YOUNG + 1), (0, 0)], ids=["usual", "higher", "off"]
)
def test_the_threshold_is_raised_and_restored(young: int, during: int) -> None:
    """A collector that is off, or has a higher threshold, stays as it is."""
    gc.set_threshold(young, 10, 10)

    with fewer_collections():
        assert gc.get_threshold()[0] == during

    assert gc.get_threshold()[0] == young


def test_a_plan_that_fails_restores_the_threshold() -> None:
    """What the process does next is collected as before."""
    gc.set_threshold(700, 10, 10)
    during: list[int] = []

    def objects() -> Iterator[ListedObject]:
        during.append(gc.get_threshold()[0])
        raise PlanError("no listing")

    with pytest.raises(PlanError, match="no listing"):
        make_plan(
            Listing(objects),
            Listing(lambda: iter(())),
            PlanOptions(Selection(), Naming()),
            PlanFolder(MemoryContainer().as_client(), PATH),
        )

    assert (during, gc.get_threshold()[0]) == ([YOUNG], 700)
