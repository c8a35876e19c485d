"""Serving the plugin's files: an ASGI application that costs nothing until somebody asks it for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class StaticFolder:
    """Serves the files of one folder of this package; browsers ask each time whether theirs is still the newest.

    :param name: the folder's
    """

    def __init__(self, name: str) -> None:
        self._folder = Path(__file__).parent / name
        self._files: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request. The files are public, as those of Airflow's UI are."""
        if self._files is None:
            # A tenth of a second and some megabytes that no task process needs.
            from starlette.staticfiles import StaticFiles

            self._files = StaticFiles(directory=self._folder)

        async def send_unstored(message: Any) -> None:
            if message["type"] == "http.response.start":
                # Modules import each other by plain names, so an upgrade must not leave half of them in a cache.
                message["headers"] = [*message["headers"], (b"cache-control", b"no-cache")]
            await send(message)

        await self._files(scope, receive, send_unstored)
