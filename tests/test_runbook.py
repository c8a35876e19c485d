"""The runbook has an entry for each class of error, with log lines that the package writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

import airflow_s3_azure
from airflow_s3_azure.engine import errors
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.errors import RUNBOOK, S3ToAzureError, SourceNotFound, SourceReadError, runbook_url
from airflow_s3_azure.operators import airflow_failures

PAGE = Path(__file__).parent.parent / "docs" / "operations" / "runbook.md"
NO_ENTRY = {"S3ToAzureError", "TransferError", "SliceEnded"}
"""Bases that nothing raises, and the end of a slice, which is no failure."""


def _entries() -> dict[str, str]:
    """Return the text of each entry by its heading."""
    found = re.split(r"^### (\w+)$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


def _texts() -> Iterator[str]:
    """Yield the texts in the package's source, with ``…`` for what is filled in."""
    for path in Path(airflow_s3_azure.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield "".join(one.value if isinstance(one, ast.Constant) else "…" for one in node.values)  # type: ignore[misc]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield re.sub(r"\{\w+(!r)?\}", "…", node.value)


@pytest.mark.checkout
def test_the_entries_are_the_classes() -> None:
    """A new class needs an entry, and a class that is gone has none."""
    classes = {
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, S3ToAzureError)
    }

    assert _entries().keys() == classes - NO_ENTRY


@pytest.mark.checkout
@pytest.mark.parametrize("name", sorted(_entries()) if PAGE.exists() else [])
def test_an_entry_has_log_lines_cause_and_action(name: str) -> None:
    """Each log line is one that the package writes."""
    entry, texts = _entries()[name], "\n".join(_texts())
    (block,) = re.findall(r"^```text\n(.*?)```$", entry, re.DOTALL | re.MULTILINE)

    assert re.findall(r"^\*\*(\w+)\*\*: \S", entry, re.MULTILINE) == ["Cause", "Action"]
    for line in block.splitlines():
        missing = [part for part in line.split("…") if part.strip() not in texts]
        assert (line, missing) == (line, [])


def test_the_runbook_is_a_page_of_the_documentation() -> None:
    """Its URL is below that of the project's documentation."""
    (url,) = (
        one.removeprefix("Documentation, ")
        for one in metadata("airflow-s3-azure").get_all("Project-URL") or []
        if one.startswith("Documentation")
    )

    assert f"{url}operations/runbook.html" == RUNBOOK


def test_an_error_leads_to_the_entry_of_its_class() -> None:
    """A class of another module leads to that of its base."""
    assert runbook_url(SourceNotFound("x")) == f"{RUNBOOK}#sourcenotfound"
    assert runbook_url(PreconditionFailed("x")) == f"{RUNBOOK}#destinationconflict"


@pytest.mark.parametrize(
    ("error", "raised"), [(SourceNotFound("x"), AirflowFailException), (SourceReadError("x"), SourceReadError)]
)
def test_a_failed_task_logs_the_url(
    caplog: pytest.LogCaptureFixture, error: S3ToAzureError, raised: type[Exception]
) -> None:
    """Whether it is retried or not."""
    caplog.set_level("INFO", "airflow_s3_azure")

    with pytest.raises(raised), airflow_failures():
        raise error

    assert [record.getMessage() for record in caplog.records] == [f"what to do: {runbook_url(error)}"]
