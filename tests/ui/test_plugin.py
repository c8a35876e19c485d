"""The plugin as Airflow's API server has it. These tests need no browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from airflow_s3_azure import __version__
from airflow_s3_azure import ui as package

if TYPE_CHECKING:
    from airflow_s3_azure.ui import S3ToAzurePlugin

STATIC = Path(package.__file__).parent / "static"


def _plugin() -> S3ToAzurePlugin:
    return package.S3ToAzurePlugin()


def test_every_view_has_a_distinct_name_that_the_module_serves() -> None:
    """The module leaves each component under its view's name, and none of them hides something of the browser."""
    module = (STATIC / "transfers.js").read_text()
    names = [app["name"] for app in _plugin().react_apps]

    assert len(set(names)) == 4
    for name in names:
        assert f'"{name}":' in module or f"  {name}:" in module
    assert {"History", "Navigator", "Storage"}.isdisjoint(names)


def test_every_view_has_icons() -> None:
    """The host shows a placeholder for a view without one."""
    for app in _plugin().react_apps:
        for icon in (app["icon"], app["icon_dark_mode"]):
            assert (STATIC / Path(icon).name).read_text().startswith("<svg")


@pytest.mark.parametrize(("version", "start"), [("3.2.0", "../../s3-to-azure/"), ("3.3.2", "s3-to-azure/")])
def test_the_modules_url_is_what_that_airflow_resolves(version: str, start: str) -> None:
    """Airflow 3.2 imports it from its script in static/assets/, Airflow 3.3 from the page's base."""
    assert package.module_url(version) == f"{start}transfers.js?v={__version__}"


@pytest.mark.airflow
@pytest.mark.airflow
def test_the_plugin_brings_nothing_heavy_into_a_task_process() -> None:
    """Every task process imports it, in addition to Airflow's own modules."""
    code = (
        "import sys, airflow.sdk.execution_time.task_runner, airflow.sdk.plugins_manager\n"
        "before = set(sys.modules)\n"
        "import airflow_s3_azure.ui\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    loaded = set(done.stdout.split("\n")[-2].split())
    assert {"airflow_s3_azure.ui"} <= loaded <= {"airflow_s3_azure", "airflow_s3_azure.ui", "airflow_s3_azure.ui.files"}


def test_no_module_names_another_host() -> None:
    """What the pages load is Airflow's; the S3 console is linked to, never requested."""
    for module in STATIC.glob("*.js"):
        text = module.read_text().replace("https://s3.console.aws.amazon.com/", "")
        assert "https://" not in text, module.name
        assert "http://" not in text, module.name
        assert "innerHTML" not in text, module.name
        assert "dangerouslySetInnerHTML" not in text, module.name


def _client() -> TestClient:
    (app,) = _plugin().fastapi_apps
    host = Starlette()
    host.mount(app["url_prefix"], app["app"])
    return TestClient(host)


def test_static_files_are_never_stale() -> None:
    """A browser revalidates its copy each time, in a few bytes."""
    client = _client()
    first = client.get("/s3-to-azure/transfers.js")

    assert first.status_code == 200
    assert first.headers["content-type"].startswith("text/javascript")
    assert first.headers["cache-control"] == "no-cache"
    again = client.get("/s3-to-azure/transfers.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["/transfers.js", "/icon.svg"])
def test_the_type_of_a_file_is_never_guessed(path: str) -> None:
    """A browser must not guess a file's type from its content."""
    assert _client().get(f"/s3-to-azure{path}").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/../__init__.py", "/%2e%2e/__init__.py", "/..%2f__init__.py", "/", "/nothing.js"])
def test_nothing_but_the_static_files_is_served(path: str) -> None:
    """No path leads out of the folder."""
    assert _client().get(f"/s3-to-azure{path}").status_code == 404
