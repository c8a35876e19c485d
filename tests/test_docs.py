"""The guides: their examples are real."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, get_args

import pytest
import yaml
from packaging.requirements import Requirement

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE, MIB
from airflow_s3_azure.engine.model import CopyResult, Status
from airflow_s3_azure.engine.options import DEFAULT_CONCURRENCY
from airflow_s3_azure.metrics import PREFIX, counts_of
from airflow_s3_azure.sync.audit.expectations import Expected
from airflow_s3_azure.sync.audit.findings import compare_listed
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.rows import ledger_row
from tests.versions.__main__ import floors

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.servers import AzureServer

DOCS = Path(__file__).parent.parent / "docs"
GUIDES = sorted(page for name in ("how-to", "operations", "tutorial") for page in (DOCS / name).glob("*.md"))
WRAPPED = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_s3_azure.sync_group import s3_to_azure_sync

with DAG("example", schedule=None):
"""


def _examples(guide: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)


DAGS = [
    pytest.param(example, id=f"{guide.stem}-{number}")
    for guide in GUIDES
    for number, example in enumerate(_examples(guide))
    if "s3_to_azure_sync(" in example or "DAG(" in example
]


@pytest.mark.airflow
@pytest.mark.parametrize("example", DAGS)
def test_an_example_is_a_dag_that_airflow_accepts(example: str, tmp_path: Path) -> None:
    """It is imported and serialized, as the DAG processor does it; a mere call is put into a DAG first."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    path = tmp_path / "example.py"
    path.write_text(example if "DAG(" in example else WRAPPED + indent(example, "    "))
    bag = DagBag(str(path), collect_dags=False)
    (dag,) = bag.process_file(str(path))  # type: ignore[no-untyped-call]

    assert bag.import_errors == {}
    assert LazyDeserializedDAG.from_dag(dag).dag_id == dag.dag_id


def test_the_example_prints_the_output_on_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """A reader who changes the numbers begins with a correct sum."""
    page = (GUIDES[0].parents[1] / "scale.md").read_text()
    (code,), (printed,) = (
        re.findall(r"```python\n(.*?)```", page, re.DOTALL),
        re.findall(r"```text\n(.*?)```", page, re.DOTALL),
    )

    exec(code, {})

    assert capsys.readouterr().out == printed


@pytest.fixture
def duckdb_without_filesystems() -> Iterator[None]:
    """DuckDB's default connection, in which each example registers its file system."""
    import duckdb

    yield
    for name in duckdb.list_filesystems():
        duckdb.unregister_filesystem(name)


@pytest.mark.servers
@pytest.mark.usefixtures("duckdb_without_filesystems")
def test_the_guides_queries_read_the_ledger(
    azure_server: AzureServer,
    container: ContainerClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """DuckDB reads all parts of all runs in one go."""
    (guide,) = (one for one in GUIDES if one.stem == "ledger")
    (example,) = (one for one in _examples(guide) if "duckdb" in one)
    for run in ("manual__2026-11-21T00:00:00+00:00", "scheduled__2026-11-22T00:00:00+00:00"):
        rows = [{"key": f"{run}/{number}", "status": "copied", "size": 5} for number in range(3)]
        folder = PlanFolder(container, f"_s3_to_azure/s3_to_azure_nightly/{run}/s3_to_azure/now")
        for part, content in (("plan", []), ("00000", rows)):
            ledger = folder.new_ledger(part)
            for row in content:
                ledger.write(row)
            ledger.commit()

    there = example.replace("abfs://landing", f"abfs://{container.container_name}")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    exec(compile(there, "example", "exec"), {})

    assert re.search(r"copied\D+6\D+30\b", capsys.readouterr().out)


@pytest.mark.servers
@pytest.mark.usefixtures("duckdb_without_filesystems")
def test_an_audits_ledger_is_read_as_the_guide_says(
    azure_server: AzureServer,
    container: ContainerClient,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """DuckDB reads the ledgers of all audits."""
    (guide,) = (one for one in GUIDES if one.stem == "audit")
    (example,) = (one for one in _examples(guide) if "duckdb" in one)
    for run in ("manual__2026-11-21T00:00:00+00:00", "scheduled__2026-11-22T00:00:00+00:00"):
        lines = "".join(json.dumps(row | {"blob": f"{run}/{row['blob']}"}) + "\n" for row in [_audited()] * 3)
        container.upload_blob(f"_s3_to_azure/s3_to_azure_audit/{run}/audit/now/audit.jsonl", lines)

    there = example.replace("abfs://landing", f"abfs://{container.container_name}")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azure_server.connection_string)
    exec(compile(there, "example", "exec"), {})

    assert re.search(r"missing\D+6\D+0\b", capsys.readouterr().out)


def _audited() -> dict[str, object]:
    """Return a row of an audit's ledger."""
    expected = Expected("copied", "key", 5, "etag", None, '"0x1"', "AAAAAAAAAAA=")
    return compare_listed("blob", expected, None).as_json()


def test_the_reference_lists_every_column_of_an_audit() -> None:
    """And no other."""
    text = (DOCS / "how-to" / "audit.md").read_text()
    table = text[text.index("[start:audit_columns]") : text.index("[end:audit_columns]")]
    named = [
        name
        for row in table.splitlines()
        if row.startswith("| `")
        for name in re.findall("`([^`]+)`", row.split("|")[1])
    ]

    assert sorted(named) == sorted(_audited())


def test_the_pod_of_the_guide_holds_a_copy_with_the_defaults() -> None:
    """Its memory is what the guide's own table and formula add up to, and no more than half of it again."""
    text = (DOCS / "deploy.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (container,) = yaml.safe_load(block)["spec"]["containers"]
    processes = [int(row) for row in re.findall(r"^\| (?:supervisor|task process)[^|]*\| (\d+) \|", text, re.MULTILINE)]
    needed = sum(processes) + (DEFAULT_CONCURRENCY * DEFAULT_BLOCK_SIZE) // MIB + 40

    assert len(processes) == 2
    assert f"= {needed} MiB" in text
    given = container["resources"]["limits"]["memory"]
    assert given == container["resources"]["requests"]["memory"]
    assert needed <= int(given.removesuffix("Mi")) <= 1.5 * needed


@pytest.mark.checkout
def test_every_test_that_a_page_names_exists() -> None:
    """A claim in the docs that names its test can be checked by the reader."""
    root = DOCS.parent
    pages = [root / "README.md", *DOCS.rglob("*.md")]
    sources = {path.relative_to(root).as_posix(): path.read_text() for path in (root / "tests").glob("**/test_*.py")}
    tests = {name for text in sources.values() for name in re.findall(r"def (test_\w+)\(", text)}
    missing = [
        f"{page.name}: {name}"
        for page in pages
        for name in re.findall(r"(?<=::)test_\w+(?=`)|(?<=`)tests/[\w/]+/test_\w+\.py", page.read_text())
        if name not in tests and name not in sources
    ]

    assert missing == []


def _anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _whole(page: Path) -> str:
    """Return a page as the site has it: with the sections of other pages that it includes."""

    def section(found: re.Match[str]) -> str:
        text = (DOCS.parent / found[1]).read_text()
        return text[text.index(f"[start:{found[2]}]") : text.index(f"[end:{found[2]}]")]

    return re.sub(r'^--8<-- "(.+):(.+)"$', section, page.read_text(), flags=re.MULTILINE)


@pytest.mark.checkout
def test_every_link_between_pages_leads_somewhere() -> None:
    """A page that moves takes its links with it, anchors included. So does a section that another page includes."""
    root = DOCS.parent
    broken = []
    for page in [*root.glob("*.md"), *DOCS.rglob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", _whole(page)):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if "://" in link or link.startswith("mailto:"):
                continue
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                broken.append(f"{page.relative_to(root)}: {link}")

    assert broken == []


@pytest.mark.checkout
def test_the_build_of_the_site_hides_no_warning() -> None:
    """With --quiet mkdocs logs no warning, counts none, and a strict build with broken links is a success."""
    (command,) = re.findall(r"mkdocs build.*", (DOCS.parent / "Makefile").read_text())

    assert not {"-q", "--quiet"} & set(command.split())
    assert "\nstrict: true\n" in (DOCS.parent / "mkdocs.yml").read_text()


def test_everything_that_the_reference_documents_exists() -> None:
    """The site is not built by the tests; a name that moves fails here."""
    named = {
        name
        for page in (DOCS / "reference").glob("*.md")
        for name in re.findall("^::: (.+)$", page.read_text(), re.MULTILINE)
    }

    assert named
    assert [name for name in named if pkgutil.resolve_name(name) is None] == []


def test_the_reference_documents_every_public_operator() -> None:
    """Those of the table of public modules."""
    public = set(re.findall(r"`(S3ToAzure\w+Operator)`", (DOCS / "architecture.md").read_text()))

    named = re.findall(r"^::: [\w.]+\.(S3ToAzure\w+)$", (DOCS / "reference" / "operators.md").read_text(), re.MULTILINE)

    assert sorted(named) == sorted(public)


@pytest.mark.checkout
def test_the_guide_names_the_lowest_versions_of_the_providers() -> None:
    """An administrator compares them with the constraints of a managed Airflow."""
    lowest = {one.name: str(one.specifier)[2:] for one in map(Requirement, floors())}
    text = (DOCS / "deploy.md").read_text()

    for name in ("apache-airflow-providers-amazon", "apache-airflow-providers-microsoft-azure"):
        assert f"`{name}` {lowest[name]}" in text


def _first_cells(page: str) -> list[list[str]]:
    """Return the names in the first cell of each row of the table that the reference includes from a page."""
    text = (DOCS / page).read_text()
    table = text[text.index("[start:") : text.index("[end:")]
    return [re.findall("`([^`]+)`", row.split("|")[1]) for row in table.splitlines() if row.startswith("| `")]


def test_the_reference_lists_every_column_of_the_ledger() -> None:
    """And no other."""
    named = [name for cell in _first_cells("how-to/ledger.md") for name in cell]

    assert sorted(named) == sorted(ledger_row(CopyResult("key", "blob", "copied")))


def test_the_reference_lists_every_metric() -> None:
    """And no other; a name that begins with a dot goes on from the one before it."""
    named = set()
    for first, *more in _first_cells("monitoring.md"):
        named |= {first, *(first.rpartition(".")[0] + name for name in more)}

    counts = {name for status in get_args(Status) for name in counts_of(CopyResult("key", "blob", status))}
    assert named == {f"{PREFIX}.{name}" for name in counts | {"objects.deleted", "copy.duration", "fresh_until"}}


def test_every_policy_is_named_in_the_guide() -> None:
    """And the guide names no other."""
    named = set(re.findall(r"\(policies/([^)]+)\)", (DOCS / "deploy.md").read_text()))

    assert named == {path.name for path in (DOCS / "policies").iterdir()}
