"""What a command prints is what it was given."""

from __future__ import annotations

import pytest

from airflow_s3_azure.cli.result_table import print_table
from airflow_s3_azure.cli.session import Session
from airflow_s3_azure.engine.errors import SourceNotFound

pytestmark = pytest.mark.airflow

KEY = "events:date:2026[red].csv"
"""A key with what rich replaces in text: the name of an emoji, and a style."""


def test_a_key_is_printed_verbatim(capsys: pytest.CaptureFixture[str]) -> None:
    """In a table and in an error: else it cannot be found in the bucket."""
    print_table(["key"], [[KEY]])
    Session().fail(SourceNotFound("there is no such key", key=KEY))

    out, err = capsys.readouterr()
    assert KEY in out
    assert KEY in err
