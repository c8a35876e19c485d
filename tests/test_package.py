"""The package as Airflow and pip see it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from importlib import import_module
from importlib.metadata import entry_points, metadata, version
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from airflow.providers.amazon import get_provider_info as amazon
from airflow.providers.microsoft.azure import get_provider_info as azure
from packaging.requirements import Requirement

import airflow_s3_azure
from airflow_s3_azure import operators, triggers
from airflow_s3_azure.provider_info import get_provider_info
from airflow_s3_azure.ui import PREFIX
from tests.versions.__main__ import floors

ROOT = Path(__file__).parent.parent


SDKS = {"azure.core", "azure.storage.blob", "boto3", "botocore", "requests"}


def _modules_after(statement: str) -> set[str]:
    """Run a statement in a fresh Python; return the modules that are loaded after it."""
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split("\n")[-2].split())


def test_the_package_under_test_is_the_expected_one() -> None:
    """In a checkout it is the checkout's; where the tests lie beside none (tests.versions), the installed wheel's."""
    checkout = ROOT / "airflow_s3_azure"
    meant = checkout if checkout.exists() else Path(sysconfig.get_path("purelib")) / "airflow_s3_azure"

    assert Path(airflow_s3_azure.__file__).parent == meant


def test_the_lowest_versions_are_the_floors() -> None:
    """What is tested as the lowest is what pip may install: a floor that is raised, or added, is locked again."""
    pins = [
        Requirement(line)
        for line in (ROOT / "tests" / "versions" / "lowest.txt").read_text().splitlines()
        if line[0] != "#"
    ]

    for floor in map(Requirement, floors()):
        assert [pin.name for pin in pins if pin.name == floor.name and floor.specifier.contains(str(pin.specifier)[2:])]


@pytest.mark.checkout
def test_public_names_are_the_documented_ones() -> None:
    """A name is public if docs/architecture.md lists it; guides and shipped DAGs import no other."""
    table = (ROOT / "docs" / "architecture.md").read_text().partition("## Public modules")[2].partition("\n## ")[0]
    documented = {
        module: set(re.findall(r"`(\w+)`", names))
        for module, names in re.findall(r"^\| `([\w.]+)` \| (.*) \|$", table, re.MULTILINE)
    }

    assert {module: set(import_module(module).__all__) for module in documented} == documented
    assert all(hasattr(import_module(module), name) for module, names in documented.items() for name in names)
    for file in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "dags").glob("*.py")]:
        for module, names in re.findall(r"^from (airflow_s3_azure[\w.]*) import (.+)$", file.read_text(), re.MULTILINE):
            assert set(names.split(", ")) <= documented[module], file


def test_provider_info_is_valid() -> None:
    """An invalid one would break every airflow command."""
    info = get_provider_info()
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(info, schema)
    assert info.keys() <= schema["properties"].keys()
    assert "plugins" not in info  # the entry point registers it; twice is an import error


def test_provider_info_uses_the_names_of_airflows_own_providers() -> None:
    """Registries list a provider by its integrations; each that is used is declared, with guide and logo."""
    info = get_provider_info()
    stock: list[Any] = [amazon, azure]
    usual = {one["integration-name"] for module in stock for one in module.get_provider_info()["integrations"]}

    names = [one["integration-name"] for one in info["integrations"]]
    used = [one["integration-name"] for key in ("operators", "triggers") for one in info[key]]
    used += [transfer[f"{side}-integration-name"] for transfer in info["transfers"] for side in ("source", "target")]
    assert set(names) == set(used)
    assert set(names) <= usual
    assert {one["logo"] for one in info["integrations"]} == {f"/{PREFIX}/icon.svg"}


@pytest.mark.checkout
def test_the_registry_lists_every_operator_and_trigger() -> None:
    """What the Apache Airflow Provider Registry shows exists, and nothing public is left out."""
    listed = yaml.safe_load((ROOT / ".airflow-registry.yaml").read_text())
    names = {kind: [one["module"] for one in listed[kind]] for kind in ("operators", "triggers", "other")}

    for name in chain.from_iterable(names.values()):
        module, _, attribute = name.rpartition(".")
        assert callable(getattr(import_module(module), attribute))
    for kind, module in (("operators", operators), ("triggers", triggers)):
        assert sorted(names[kind]) == [f"{module.__name__}.{one}" for one in module.__all__ if one[0].isupper()]
    info = get_provider_info()
    assert [listed[name] for name in ("package-name", "description")] == [info["package-name"], info["description"]]
    urls = metadata("airflow-s3-azure").get_all("Project-URL") or []
    assert {f"Documentation, {listed['docs-url']}", f"Repository, {listed['source-url']}"} < set(urls)


@pytest.mark.checkout
def test_every_guide_of_provider_info_exists() -> None:
    """Paths begin with /docs/, as Airflow's schema requires."""
    info = get_provider_info()
    guides = [path for one in info["integrations"] for path in one["how-to-guide"]]
    guides += [one["how-to-guide"] for one in info["transfers"]]

    assert guides
    assert all((ROOT / path.lstrip("/")).is_file() for path in guides)


def test_airflow_finds_the_provider_under_its_distributions_name() -> None:
    """The entry point gives the same as the function, and the name is that of the distribution."""
    (point,) = entry_points(group="apache_airflow_provider", name="provider_info").select(
        module="airflow_s3_azure.provider_info"
    )

    assert point.load()() == get_provider_info()
    assert point.dist is not None
    assert point.dist.name == get_provider_info()["package-name"]


@pytest.mark.airflow
def test_airflow_shows_the_provider_and_its_plugin() -> None:
    """`airflow providers` and `airflow plugins` find what the wheel installs, and every module it names exists."""
    info = get_provider_info()

    (shown,) = _airflow("providers", "get", info["package-name"], "--full")
    listed = {one["package_name"]: one for one in _airflow("providers", "list")}
    plugins = {one["name"] for one in _airflow("plugins")}

    assert {name: shown[name] for name in info if name != "description"} == {
        name: value for name, value in info.items() if name != "description"
    }
    assert listed[info["package-name"]]["version"] == airflow_s3_azure.__version__
    assert listed[info["package-name"]]["description"].startswith("Streams objects from Amazon S3")
    assert "s3_to_azure" in plugins
    for transfer in info["transfers"]:
        assert import_module(transfer["python-module"]).__all__
    for link in info["extra-links"]:
        module, _, name = link.rpartition(".")
        assert getattr(import_module(module), name)().name


def _airflow(*arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "airflow", *arguments, "--output", "json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout[done.stdout.index("[") :])
    return found


def test_the_version_is_the_distributions() -> None:
    """The version has one source."""
    assert airflow_s3_azure.__version__ == version("airflow-s3-azure")


def test_importing_the_package_imports_nothing_else() -> None:
    """The version can be read without paying for anything."""
    modules = _modules_after("import airflow_s3_azure")

    assert modules & {"airflow", "awscrt", *SDKS} == set()


@pytest.mark.airflow
def test_naming_an_operator_loads_neither_sdk() -> None:
    """A DAG file parses without the SDKs of the two clouds; a task pays for them when it runs."""
    modules = _modules_after("import airflow.sdk.bases.operator; import airflow_s3_azure.sync_group")

    assert modules & {"awscrt", *(SDKS - {"requests"})} == set()


@pytest.mark.airflow
def test_naming_one_operator_loads_no_other() -> None:
    """A DAG file pays for the operators that it uses."""
    modules = _modules_after("from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator")

    loaded = {name.rpartition(".")[2] for name in modules if name.startswith("airflow_s3_azure.operators.")}
    assert loaded & {"audit", "copy_batch", "plan", "preflight", "report", "s3_events", "stream"} == {"stream"}


@pytest.mark.airflow
def test_dag_files_load_few_modules_without_connections() -> None:
    """Airflow parses DAG files again and again; ours need no connection, no network and 90 modules beyond Airflow."""
    airflow = "import airflow.sdk.bases.operator"
    runs = [f"runpy.run_path({str(path)!r})" for path in sorted((ROOT / "dags").glob("*.py"))]

    added = _modules_after("; ".join([airflow, "import runpy", *runs])) - _modules_after(airflow)

    assert added & SDKS == set()
    assert 0 < len(added) < 200  # an SDK alone loads more


@pytest.mark.checkout
@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    """It is typed, licensed, has its entry points, and the DAGs of `dags/` are its examples."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        info = next(name for name in names if name.endswith("entry_points.txt"))
        points = archive.read(info).decode()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("dist-info/METADATA"))
        examples = {
            name.rpartition("/")[2]: archive.read(name)
            for name in names
            if name.startswith("airflow_s3_azure/example_dags/")
        }

    assert {name.split("/")[0].rpartition(".")[2] for name in names} == {"airflow_s3_azure", "dist-info"}
    assert examples == {path.name: path.read_bytes() for path in (ROOT / "dags").glob("*.py")}
    assert re.findall(r"\]\((?!https://|#)[^)]*\)", metadata) == []  # PyPI shows the README at another place
    assert "airflow_s3_azure/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "[apache_airflow_provider]\nprovider_info = airflow_s3_azure.provider_info:get_provider_info" in points


@pytest.mark.checkout
def test_imports_point_down_only() -> None:
    """The layers of the house hold: see [tool.importlinter] in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"}, check=False
    )

    assert done.returncode == 0, done.stdout
    assert " 0 broken." in done.stdout
