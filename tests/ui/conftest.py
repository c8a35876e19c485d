"""Fixtures of the UI's tests: a stage of real servers, a fake Airflow, and the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import pytest

from tests.ui.browsers import find_chromium

Theme = Literal["light", "dark"]

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

    from tests.ui.fake_airflow import FakeAirflow, FakeServer
    from tests.ui.stage import Stage
    from tests.ui.visit import FakeVisit, Visit


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A started Airflow with runs of every kind."""
    from tests.ui.stage import Scale, Stage

    with Stage(tmp_path_factory.mktemp("stage"), Scale()) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    executable = find_chromium()
    if executable is None:
        pytest.skip("there is no Chromium: install Debian's package `chromium`, or name one in UI_CHROMIUM")
    with sync_playwright() as playwright:
        # Chromium's own sandbox needs more rights than a container has.
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, stage: Stage) -> Callable[[str, Theme], BrowserContext]:
    """Returns the browser of a user, the same each time: Airflow's own app takes long to load."""
    from tests.ui.visit import sign_in

    return cache(lambda user, theme: sign_in(browser, stage, user, theme=theme))


@pytest.fixture
def visit(signed_in: Callable[[str, Theme], BrowserContext], stage: Stage) -> Iterator[Callable[..., Visit]]:
    """Opens Airflow as one of its users; asserts at the end that no page had an error."""
    from tests.ui.visit import Visit

    visits: list[Visit] = []

    def begin(user: str = "ada", theme: Theme = "light") -> Visit:
        visits.append(Visit(signed_in(user, theme), stage.airflow.url))
        return visits[-1]

    yield begin
    try:
        for one in visits:
            one.check()
    finally:
        for one in visits:
            one.close()


@pytest.fixture(scope="module")
def fake_server() -> Iterator[FakeServer]:
    """A server of fake Airflows."""
    from tests.ui.fake_airflow import FakeServer

    with FakeServer() as server:
        yield server


@pytest.fixture(scope="module")
def fake_context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps Airflow's app in its cache."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def fake(fake_server: FakeServer) -> FakeAirflow:
    """An empty fake Airflow."""
    from tests.ui.fake_airflow import FakeAirflow

    fake_server.airflow = FakeAirflow()
    return fake_server.airflow


@pytest.fixture
def show(
    fake: FakeAirflow, fake_server: FakeServer, fake_context: BrowserContext
) -> Iterator[Callable[..., FakeVisit]]:
    """Opens one of our views of the fake Airflow; asserts at the end that no page had an error."""
    from tests.ui.visit import FakeVisit

    del fake  # which the server has
    visits: list[FakeVisit] = []

    def open_view(view: str, dag_id: str = "", run_id: str = "", **options: Any) -> FakeVisit:
        visits.append(FakeVisit(fake_context, fake_server, view, dag_id, run_id, **options))
        return visits[-1]

    yield open_view
    try:
        for one in visits:
            one.check()
    finally:
        for one in visits:
            one.close()
