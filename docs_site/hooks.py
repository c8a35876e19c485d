"""What mkdocs.yml cannot say: pages from the root of the repository, and links that lead out of docs/."""

from __future__ import annotations

import posixpath
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PUBLISHED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "airflow_s3_azure/ui/static/icon.svg": "images/icon.svg",
    "benchmarks/results/performance.svg": "images/performance.svg",
    "docs_site/iframe-worker.js": "javascripts/iframe-worker.js",
}
"""Files outside docs/ that the site has, by their path in the repository."""
SOURCES = {uri: path for path, uri in PUBLISHED.items()}
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take description and URLs from pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    config.site_description = project["description"]
    config.site_url = project["urls"]["Documentation"]
    # Not as the theme's repo_url: each page would ask GitHub's API for its stars.
    config.extra["repository"] = project["urls"]["Repository"]
    config.extra["social"] = [{"icon": "fontawesome/brands/git-alt", "link": config.extra["repository"]}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside docs/."""
    for path, uri in PUBLISHED.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links between files of the repository to their pages, or, where they have none, to the repository."""
    uri = page.file.src_uri
    here = posixpath.dirname(SOURCES.get(uri, f"docs/{uri}"))

    def link(found: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(here, found[0]))
        if ":" in found[0] or not (ROOT / path).exists():
            return found[0]
        target = PUBLISHED.get(path, path.removeprefix("docs/") if path.startswith("docs/") else None)
        if target is None or target not in files.src_uris:
            return f"{config.extra['repository']}/{'tree' if (ROOT / path).is_dir() else 'blob'}/main/{path}"
        return posixpath.relpath(target, posixpath.dirname(uri) or ".")

    return _LINK.sub(link, markdown)
