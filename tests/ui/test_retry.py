"""What Retry clears, by the JavaScript itself, without a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_s3_azure import ui

STATIC = Path(ui.__file__).parent / "static"

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")


def _evaluate(module: str, expression: str) -> Any:
    """Return the value of an expression of a module of the UI."""
    script = f"import * as it from {json.dumps((STATIC / module).as_uri())}; console.log(JSON.stringify({expression}))"
    ran = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return json.loads(ran.stdout)


def _task(name: str, state: str, map_index: int = -1) -> dict[str, Any]:
    return {"task_id": f"s3_to_azure.{name}", "state": state, "map_index": map_index}


def _targets(copies: list[dict[str, Any]], others: list[dict[str, Any]]) -> Any:
    sync = {
        "plans": [_task("plan", "success")],
        "copies": copies,
        "batches": [],
        "others": others,
        "report": _task("report", "failed"),
    }
    return _evaluate("run.js", f"it.retryTargets({json.dumps(sync)})")


def test_both_approvals_are_read() -> None:
    """A task whose operator the tab does not know is in no request."""
    known = _evaluate("host.js", "it.OPERATORS")

    assert known["S3ToAzureApproveRestoreOperator"] == known["S3ToAzureApproveDeleteOperator"] == "approve"


def test_a_failed_approval_is_cleared_before_the_copies_that_wait_for_it() -> None:
    """A copy alone would be upstream_failed again."""
    blocked = [_task("copy", "upstream_failed")]
    deletion = [_task("approve_delete", "upstream_failed"), _task("delete", "upstream_failed")]

    assert _targets(blocked, [_task("approve_restore", "failed"), *deletion]) == ["s3_to_azure.approve_restore"]


def test_a_failed_copy_is_cleared_before_the_approval_after_it() -> None:
    """The approval of a deletion follows the copies."""
    deletion = [_task("approve_delete", "upstream_failed"), _task("delete", "upstream_failed")]

    assert _targets([_task("copy", "failed", 3)], deletion) == [["s3_to_azure.copy", 3]]
