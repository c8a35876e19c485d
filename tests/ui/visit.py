"""One user's visit of Airflow's UI: the pages to open, and the errors that none of them may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

    from tests.ui.fake_airflow import FakeServer
    from tests.ui.stage import Stage

PATIENCE = 30_000
"""Milliseconds until something must be there; the machine may be busy."""


def sign_in(
    browser: Browser,
    stage: Stage,
    user: str,
    *,
    theme: Literal["light", "dark"] = "light",
    width: int = 1440,
    height: int = 1000,
    scale: int = 1,
) -> BrowserContext:
    """Return a browser of its own for one of the stage's users, who prefers a theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, device_scale_factor=scale
    )
    context.add_cookies([{"name": "_token", "value": stage.airflow.token_of(user), "url": stage.airflow.url}])
    context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
    return context


class Visit:
    """A page in the browser of one user; records the errors in it.

    :param base: Airflow's URL
    """

    def __init__(self, context: BrowserContext, base: str) -> None:
        self._base = base
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._record_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("request", self._record_request)

    def close(self) -> None:
        """End the visit."""
        self.page.close()

    def check(self) -> None:
        """Fail if the console had an error, or a request went to another host."""
        assert not self.problems, self.problems

    def expect_refusal(self, status: int) -> None:
        """Take the line that the browser itself writes about one refused request from the problems."""
        found = [problem for problem in self.problems if f"status of {status}" in problem]
        assert len(found) == 1, self.problems
        self.problems.remove(found[0])

    def home(self) -> None:
        """Open the home page."""
        self._go("/")

    def all_transfers(self) -> None:
        """Open the page of all DAGs."""
        self._go("/plugin/s3-to-azure")

    def dag(self, dag_id: str) -> None:
        """Open a DAG's tab."""
        self._go(f"/dags/{dag_id}/plugin/transfers")

    def run(self, dag_id: str, run_id: str) -> None:
        """Open a run's tab."""
        self._go(f"/dags/{dag_id}/runs/{run_id}/plugin/transfer")

    def figure(self, name: str) -> str:
        """Return one of the large numbers."""
        return self.page.get_by_test_id(name).first.inner_text()

    def evaluate(self, module: str, expression: str, argument: Any = None) -> Any:
        """Return the value of an expression over one of the plugin's modules, as `it`, and an argument, as `given`."""
        code = f"async (given) => {{ const it = await import(new URL('s3-to-azure/{module}', document.baseURI).href); return {expression}; }}"
        return self.page.evaluate(code, argument)

    def _go(self, path: str) -> None:
        self.page.goto(f"{self._base}{path}", wait_until="domcontentloaded")

    def _record_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _record_request(self, request: Request) -> None:
        self.requests.append(request.url)
        there, here = urlsplit(request.url), urlsplit(self._base)
        if there.scheme in ("http", "https", "ws", "wss") and there.netloc != here.netloc:
            self.problems.append(f"a request to another host: {request.url}")


AREAS = {"run": "transfer", "dag": "transfers", "all": "s3-to-azure", "home": "home-row"}
"""Test ids of our views."""


class FakeVisit(Visit):
    """A page that shows one view of a fake Airflow, once it has content.

    :param forbidden: refusals of the API are expected, and the browser's lines about them are no errors
    :param script: JavaScript to run before the page's own
    :param settle: wait until the page has all of its content
    """

    def __init__(
        self,
        context: BrowserContext,
        server: FakeServer,
        view: str,
        dag_id: str,
        run_id: str,
        *,
        theme: Literal["light", "dark"] = "light",
        width: int = 1280,
        height: int = 1000,
        clock: bool = False,
        forbidden: bool = False,
        script: str | None = None,
        settle: bool = True,
    ) -> None:
        super().__init__(context, server.url)
        self._airflow = server.airflow
        self._forbidden = forbidden
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=theme)
        self.page.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        if script:
            self.page.add_init_script(script)
        if clock:
            self.page.clock.install()
        self._go(server.path(view, dag_id, run_id))
        self.area = self.page.get_by_test_id(AREAS[view])
        self.area.wait_for()
        if settle:
            self.settle()

    def settle(self) -> None:
        """Wait until our page has requested nothing for a moment."""
        self.page.wait_for_function("() => document.querySelectorAll('[aria-busy=\"true\"]').length === 0")
        seen = -1
        while seen != len(self._airflow.requests):
            seen = len(self._airflow.requests)
            self.page.evaluate(_PAUSE)

    def check(self) -> None:
        """Fail if the console had an error."""
        if self._forbidden:
            self.problems = [one for one in self.problems if "status of 403" not in one]
        super().check()


_PAUSE = """async () => {
  for (let turn = 0; turn < 12; turn += 1) await (await fetch('api/v2/version')).text();
}"""
