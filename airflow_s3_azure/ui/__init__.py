"""The plugin that shows transfers in Airflow's own UI: static files, and where the UI places them.

Every task process loads the plugins of the machine, so this imports only what such a process has already loaded; the
file server is imported at the first request. The pages read Airflow's public API with the user's own session, so
Airflow's permissions apply, and no endpoint of this package returns data.
"""

from __future__ import annotations

from typing import Any

from airflow import __version__ as airflow_version
from airflow.sdk.plugins_manager import AirflowPlugin

from airflow_s3_azure import __version__
from airflow_s3_azure.ui.files import StaticFolder

PREFIX = "s3-to-azure"
"""Path of the files below Airflow's base URL."""

# The name is the label of the tab, and the global under which the module leaves the component.
_VIEWS = (
    ("Transfer", "dag_run", "transfer"),
    ("Transfers", "dag", "transfers"),
    ("S3 → Azure", "nav", "s3-to-azure"),
    ("S3 → Azure, last night", "dashboard", "s3-to-azure-last-night"),
)


def module_url(airflow_version: str) -> str:
    """Return the URL of the module as an Airflow of this version resolves it.

    Airflow 3.3 resolves it against the page's base, Airflow 3.2 against its own script, which is in static/assets/.
    Both work wherever Airflow is mounted.
    """
    up = "../../" if airflow_version.startswith("3.2.") else ""
    # With the version, browsers load the module again after an upgrade.
    return f"{up}{PREFIX}/transfers.js?v={__version__}"


def _react_app(name: str, destination: str, route: str) -> dict[str, Any]:
    return {
        "name": name,
        "bundle_url": module_url(airflow_version),
        "destination": destination,
        "url_route": route,
        "icon": f"{PREFIX}/icon.svg",
        "icon_dark_mode": f"{PREFIX}/icon-dark.svg",
        # Airflow 3.2 does not know it and ignores it.
        "nav_top_level": destination == "nav",
    }


class S3ToAzurePlugin(AirflowPlugin):
    """A tab of each run, a tab of each DAG, a page, and a row on the home page."""

    name = "s3_to_azure"
    fastapi_apps = [{"app": StaticFolder("static"), "url_prefix": f"/{PREFIX}", "name": "S3 to Azure: static files"}]  # noqa: RUF012 - as Airflow declares it
    react_apps = [_react_app(*view) for view in _VIEWS]  # noqa: RUF012 - as Airflow declares it
