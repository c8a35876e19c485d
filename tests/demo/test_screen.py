"""What the demo prints fits a pipe and 80 columns, and what it prints to be pasted can be pasted."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace
from typing import Any

import pytest
from rich.cells import cell_len

from demo import seed
from demo.screen import Screen, middle
from demo.summary import connection_lines, show_accident

LONG = "exports/2026/11/21/" + "a-long-folder/" * 8 + "orders-00001.csv.gz"


@pytest.mark.parametrize("columns", ["80", "100"])
def test_a_table_is_no_wider_than_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    """Keys are shortened in the middle, reasons are folded, numbers are whole."""
    monkeypatch.setenv("COLUMNS", columns)
    screen = Screen()
    reason = "a blob name has at most 1,024 characters; this one has 1,100; set rename=True to shorten it"

    screen.table(("key", "reason"), [(LONG, reason), (seed.EMOJI_KEY * 3, reason)])
    screen.table(
        ("key", "status", "size", "blocks", "verified"),
        [(LONG, "copied", "48.0 MiB", "12", "composite-crc32")],
        right=(2, 3),
    )

    lines = capsys.readouterr().out.splitlines()
    assert max(map(cell_len, lines)) <= int(columns)
    text = " ".join(" ".join(lines).split())
    assert "48.0 MiB" in text
    assert "composite-crc32" in text
    assert all(word in text for word in reason.split())
    assert "orders" in text or "csv.gz" in text


def test_a_name_keeps_both_of_its_ends() -> None:
    """Also where characters take two columns."""
    assert middle("abcdefghij", 10) == "abcdefghij"
    assert middle("abcdefghijk", 7) == "abc…ijk"
    assert cell_len(middle("🚀" * 20, 9)) <= 9


@pytest.mark.parametrize(("resumed", "rest"), [(5, "copied the other 8"), (13, "committed them")])
def test_a_resumed_copy_says_what_it_did_with_the_other_blocks(
    capsys: pytest.CaptureFixture[str], resumed: int, rest: str
) -> None:
    """On a busy machine all blocks are staged before the kill: then there are no others."""
    show_accident(Screen(), {"key": "large", "blocks": 13, "resumed_blocks": resumed}, killed=True)

    text = " ".join(capsys.readouterr().out.split())
    assert f"found {resumed} of 13 blocks staged, and {rest}." in text


def test_connections_can_be_pasted() -> None:
    """Each line is one shell assignment, for secrets of any characters."""
    aws, wasb = {"conn_type": "aws", "password": "it's $HOME"}, {"conn_type": "wasb"}
    s3: Any = SimpleNamespace(
        airflow_connection=lambda: aws, endpoint_url="http://127.0.0.1:1", access_key="a", secret_key="b c", region="r"
    )
    azure: Any = SimpleNamespace(airflow_connection=lambda: wasb, connection_string="A=b;C=d==")

    pasted = dict(shlex.split(line)[1].split("=", 1) for line in connection_lines(s3, azure))

    assert json.loads(pasted["AIRFLOW_CONN_AWS_DEFAULT"]) == aws
    assert json.loads(pasted["AIRFLOW_CONN_WASB_DEFAULT"]) == wasb
    assert pasted["AWS_SECRET_ACCESS_KEY"] == "b c"
    assert pasted["AZURE_STORAGE_CONNECTION_STRING"] == "A=b;C=d=="
