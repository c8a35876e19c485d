"""What a command prints is what it was given."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_s3_azure.cli.result_table import print_table
from airflow_s3_azure.cli.session import Session
from airflow_s3_azure.engine.errors import SourceNotFound
from tests.servers.process import child_environment

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


def test_a_reader_that_ends_early_is_no_error() -> None:
    """``airflow s3-azure ledger … --output csv | head`` shows its lines and no traceback."""
    program = """
from argparse import Namespace
from airflow_s3_azure.cli.result_table import print_csv
from airflow_s3_azure.cli.session import command
command(lambda args, session: print_csv(["key"], ({"key": "k" * 1000} for _ in range(1000))))(Namespace(verbose=False))
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()

    assert (first.strip(), errors, process.returncode) == ("key", "", 1)
