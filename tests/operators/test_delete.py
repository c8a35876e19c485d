"""The approval of a deletion, and the deletion that it allows."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.errors import UntrustedFile
from airflow_s3_azure.operators.delete import (
    S3ToAzureApproveDeleteOperator,
    S3ToAzureDeleteOperator,
    deletion_lists,
    question,
)
from airflow_s3_azure.sync.ledger import PlanFolder

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = [pytest.mark.airflow]


def totals(folder: str = "_s3_to_azure/plan", **values: Any) -> dict[str, Any]:
    """Return a plan's totals that has blobs to delete."""
    return {
        "folder": folder,
        "extra": 1,
        "extra_sample": ["in/gone"],
        "delete_refused": None,
        "dry_run": False,
        "destination": "https://account.example/landing/in/",
        "blob_prefix": "in/",
        "ledger": f"https://account.example/landing/{folder}/ledger/",
        "deletions": {"etag": '"0x1"', "digest": "digest", "rows": 1},
        "settled": {"etag": '"0x2"', "digest": "digest", "rows": 0},
        **values,
    }


class TaskInstance(SimpleNamespace):
    """A task instance whose run has these XComs, by task and key."""

    def __init__(self, xcoms: dict[tuple[str, str], Any]) -> None:
        super().__init__(dag_id="dag", run_id="run", task_id="delete", map_index=-1, try_number=1, pushed={})
        self.id = uuid4()
        self.xcoms = xcoms

    def xcom_pull(self, task_ids: str, key: str = "return_value") -> Any:
        """Return an XCom, or None."""
        return self.xcoms.get((task_ids, key))

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep an XCom of this task."""
        self.pushed[key] = value

    def get_task_states(self, **_: Any) -> dict[str, dict[str, str]]:
        """Return the plan's success."""
        return {"run": {"plan": "success"}}


def show_question(monkeypatch: pytest.MonkeyPatch, stored: str | None = None) -> None:
    """Have Airflow show a question that it stored earlier, or else the one that it is sent."""
    comms = SimpleNamespace(send=lambda sent: SimpleNamespace(body=sent.body if stored is None else stored))
    monkeypatch.setattr("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", comms, raising=False)


def written(container: ContainerClient, names: list[str], folder: str = "_s3_to_azure/plan") -> dict[str, Any]:
    """Upload blobs, write them down to be deleted, and return the plan's totals."""
    writer = PlanFolder(container, folder).new_deletions()
    for name in names:
        etag = container.upload_blob(name, b"x").get_blob_properties().etag
        writer.write({"key": name, "blob": name, "size": 1, "blob_etag": etag, "last_modified": None})
    writer.commit()
    return totals(folder, extra=len(names), extra_sample=names, deletions=writer.fingerprint().as_json())


def delete(
    container: ContainerClient, plan: dict[str, Any], approved: list[dict[str, Any]] | None, s3_bucket: str = "bucket"
) -> TaskInstance:
    """Run the deletion after an approval."""
    operator = S3ToAzureDeleteOperator(
        task_id="delete",
        plan_task_id="plan",
        approve_task_id="approve_delete",
        s3_bucket=s3_bucket,
        container_name=container.container_name,
    )
    ti = TaskInstance({("plan", "plan"): plan, ("approve_delete", "deletions"): approved})
    context: Any = {"ti": ti}
    operator.execute(context)
    return ti


def names(container: ContainerClient) -> list[str]:
    """Return the blobs that are left."""
    return [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
def test_what_was_approved_is_deleted(bucket: Bucket, container: ContainerClient) -> None:
    """The list that the human approved is the list of the plan."""
    plan = written(container, ["in/gone"])

    ti = delete(container, plan, deletion_lists([plan]), bucket.name)

    assert names(container) == []
    (ledger,) = ti.pushed["ledger"]
    assert (ledger["name"], ledger["rows"]) == ("_s3_to_azure/plan/ledger/delete.jsonl.gz", 1)


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("change", ["another plan", "another digest", "more rows", "no question"])
def test_what_was_not_approved_is_not_deleted(container: ContainerClient, change: str) -> None:
    """A plan that was repeated since the question, or an approval that a user marked as success."""
    plan = written(container, ["in/gone"])
    (listed,) = deletion_lists([plan])
    approved = {
        "another plan": [listed | {"folder": "_s3_to_azure/earlier"}],
        "another digest": [listed | {"digest": "x" * 32}],
        "more rows": [listed | {"rows": 2}],
        "no question": None,
    }[change]

    with pytest.raises(
        AirflowFailException,
        match="nothing was deleted: nobody approved the deletion of these blobs in task approve_delete",
    ):
        delete(container, plan, approved)

    assert names(container) == ["in/gone"]


@pytest.mark.servers
@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("name", ["other/a", "in/../../x", "_s3_to_azure/other/delete.jsonl"])
def test_a_list_that_is_wrong_in_itself_deletes_nothing(container: ContainerClient, name: str) -> None:
    """Even if a plan had written it."""
    plan = written(container, ["in/gone"])
    writer = PlanFolder(container, "_s3_to_azure/other").new_deletions()
    writer.write({"key": name, "blob": name, "size": 1, "blob_etag": '"0x1"', "last_modified": None})
    writer.commit()
    wrong = plan | {"folder": "_s3_to_azure/other", "deletions": writer.fingerprint().as_json()}

    with pytest.raises(AirflowFailException, match="line 1 cannot be one that was written") as caught:
        delete(container, wrong, deletion_lists([wrong]))

    assert isinstance(caught.value.__cause__, UntrustedFile)
    assert names(container) == ["in/gone"]


def test_the_question_names_the_blobs() -> None:
    """How many, where, the first ten of them, and where the list is."""
    plans = [totals(extra=12, extra_sample=[f"in/{n}" for n in range(8)]), totals("_s3_to_azure/other", extra=3)]

    text = question(plans)
    listed = ["https://account.example/landing/in/", "digest", 1]
    digest = sha256(json.dumps([listed, listed]).encode()).hexdigest()[:32]

    assert text.splitlines() == [
        "**15 blobs** were copied from S3, and their keys no longer exist:",
        "",
        "* 12 in `https://account.example/landing/in/`",
        "* 3 in `https://account.example/landing/in/`",
        "",
        "The blobs:",
        "",
        *(f"* `in/{n}`" for n in range(8)),
        "* `in/gone`",
        "* … and 6 more",
        "",
        "The list: `https://account.example/landing/_s3_to_azure/plan/delete.jsonl`",
        "The list: `https://account.example/landing/_s3_to_azure/other/delete.jsonl`",
        "",
        f"Digest of what would be deleted: `{digest}`",
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("in/a`](https://evil.example) `b", r"* `in/a\x60](https://evil.example) \x60b`"),
        ("in/a\n\n# Approve this", r"* `in/a\n\n# Approve this`"),
        ("in/\u202egnp.exe", r"* `in/\u202egnp.exe`"),
        ("in/\x1b[31mred\x00", r"* `in/\x1b[31mred\x00`"),
        ("in/é😀", "* `in/é😀`"),
    ],
)
def test_a_name_does_not_write_the_question(name: str, shown: str) -> None:
    """Keys are untrusted: none ends the code that it is in, or turns the text around."""
    assert shown in question([totals(extra_sample=[name])]).splitlines()


def test_assigned_users_are_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the lists are in XCom before Airflow waits for a response."""
    questions: list[str] = []
    user: Any = {"id": "1", "name": "admin"}
    operator = S3ToAzureApproveDeleteOperator(
        task_id="approve", plan_task_id="plan", response_timeout=timedelta(hours=1), assigned_users=user
    )
    ti = TaskInstance({("plan", "plan"): totals()})
    show_question(monkeypatch)
    base = S3ToAzureApproveDeleteOperator.__mro__[1]
    monkeypatch.setattr(base, "execute", lambda self, context: questions.append(self.body))
    context: Any = {"ti": ti}

    operator.execute(context)

    assert operator.assigned_users == [user]
    assert ti.pushed == {"submitted": [{"folder": "_s3_to_azure/plan", "etag": '"0x1"', "digest": "digest", "rows": 1}]}
    assert questions == [question([totals()])]


@pytest.mark.parametrize("chosen", ["Approve", "Reject"])
def test_a_response_approves_what_was_shown(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    """Only "Approve" does, and not what a plan would delete that was made since."""
    operator = S3ToAzureApproveDeleteOperator(
        task_id="approve", plan_task_id="plan", response_timeout=timedelta(hours=1)
    )
    submitted = deletion_lists([totals()])
    newer = totals("_s3_to_azure/newer")
    ti = TaskInstance({("plan", "plan"): newer, ("approve", "submitted"): submitted})
    base = S3ToAzureApproveDeleteOperator.__mro__[1]
    monkeypatch.setattr(base, "execute_complete", lambda *_: "response")
    context: Any = {"ti": ti}

    assert operator.execute_complete(context, {"chosen_options": [chosen]}) == "response"
    assert ti.pushed == ({"deletions": submitted} if chosen == "Approve" else {})
