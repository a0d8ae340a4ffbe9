"""A real server and a real browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.dev_server import DevServer, running_dev_server

CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",  # not available to root, as in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CHROMIUM_COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium: `CHROMIUM`, or the one on PATH."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_COMMANDS)), None)
    if path is None:
        pytest.skip("There is no Chromium: install one (on Debian: apt install chromium), or set CHROMIUM to its path.")
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """One browser for the suite."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:  # noqa: ARG001  # skip first
    """A development server with demo data."""
    with running_dev_server(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture
def page(browser: Browser, server: DevServer) -> Iterator[Page]:
    """The explorer on a first visit; fails on an error in the browser's console."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light", locale="en-GB")
    page = context.new_page()
    console_errors: list[str] = []
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    page.on("console", lambda message: console_errors.append(message.text) if message.type == "error" else None)
    page.goto(server.explorer_url)
    page.locator(".graphiql-query-editor .view-line").first.wait_for()
    yield page
    context.close()
    assert console_errors == []


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return Path(__file__).parents[2]
