"""Which browser the UI's tests and screenshots use: this machine's, as playwright's own download is not needed."""

from __future__ import annotations

import os
import shutil

_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_chromium() -> str | None:
    """Return a Chromium of this machine: the environment's UI_CHROMIUM, or one on the path; None: there is none."""
    return os.environ.get("UI_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
