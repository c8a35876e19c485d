"""The browser of the UI's tests and screenshots: this machine's Chromium, because playwright's own is not installed."""

from __future__ import annotations

import os
import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_chromium() -> str | None:
    """Return a Chromium of this machine: the environment's UI_CHROMIUM, or the one on the path; None if there is none."""
    return os.environ.get("UI_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
