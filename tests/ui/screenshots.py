"""`python -m tests.ui.screenshots`: pictures of the pages for the documentation, light and dark, from real runs.

Takes some minutes, most of them for a month of nightly runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.ui.browsers import find_chromium
from tests.ui.stage import EXPORTS, INVOICES, MEDIA, Scale, Stage
from tests.ui.visit import Visit, sign_in

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
MIB = 1024 * 1024
SCALE = Scale(
    scheduled=26,
    gap=2,
    backfilled=12,
    files=36,
    media=120,
    media_size=5 * MIB // 2,
    batch=16,
    media_batch=8,
    media_blocks=0,
    media_delay=0.7,
)
_SETTLED = "() => document.querySelectorAll('[aria-busy=\"true\"]').length === 0"


def main() -> int:
    """Take them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.ui.screenshots", description="Pictures of the pages.")
    parser.add_argument("--directory", type=Path, default=IMAGES)
    given = parser.parse_args()
    chromium = find_chromium()
    if chromium is None:
        sys.stderr.write("There is no Chromium: install Debian's package chromium, or name one in UI_CHROMIUM.\n")
        return 1
    given.directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="s3-azure-screenshots-") as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        with Stage(Path(directory), SCALE) as stage:
            for theme in ("light", "dark"):
                for name, (height, go) in _pages(stage).items():
                    context = sign_in(browser, stage, "ada", theme=theme, height=height)
                    visit = Visit(context, stage.airflow.url)
                    go(visit)
                    path = given.directory / f"{name}-{theme}.png"
                    _wait(visit)
                    visit.page.screenshot(path=path)
                    visit.check()
                    context.close()
                    sys.stdout.write(f"{path}\n")
        browser.close()
    return 0


def _pages(stage: Stage) -> dict[str, tuple[int, Callable[[Visit], None]]]:
    """Return the pages by the names of their pictures, each with the pixels of height that show it whole."""
    return {
        "run": (1080, lambda visit: visit.run(MEDIA, stage.runs[MEDIA])),
        "run-failed": (900, lambda visit: visit.run(INVOICES, stage.runs[INVOICES])),
        "dag": (1180, lambda visit: visit.dag(EXPORTS)),
        "all": (1180, Visit.all_transfers),
        "home": (420, Visit.home),
    }


def _wait(visit: Visit) -> None:
    area = ", ".join(f'[data-testid="{name}"]' for name in ("transfer", "transfers", "s3-to-azure", "home-row"))
    visit.page.locator(area).first.wait_for()
    visit.page.wait_for_function(_SETTLED)
    # The host's own parts, and bars that move to where they belong.
    visit.page.wait_for_timeout(2_500)


if __name__ == "__main__":
    sys.exit(main())
