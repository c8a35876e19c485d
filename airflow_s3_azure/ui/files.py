"""Serves the plugin's files: an ASGI application that imports nothing until the first request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_HEADERS = (
    # Modules import each other by plain names, so an upgrade must not leave half of them in a cache.
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
)


class StaticFolder:
    """Serves the files of one folder of this package; browsers revalidate them each time, and never guess their type.

    :param name: the folder's
    """

    def __init__(self, name: str) -> None:
        self._folder = Path(__file__).parent / name
        self._files: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to one request. The files are public, as those of Airflow's UI are."""
        if self._files is None:
            # A tenth of a second and some megabytes that no task process needs.
            from starlette.staticfiles import StaticFiles

            self._files = StaticFiles(directory=self._folder)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS]
            await send(message)

        await self._files(scope, receive, send_with_headers)
