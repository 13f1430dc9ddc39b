"""A real network with a real agent, and a real browser that may speak to nothing else."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from intertie.cli.embedded import EmbeddedNetwork
from intertie.cli.listening import Listening
from intertie.client import Intertie
from tests.support.live import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000


class Console:
    """A network whose console is looked at, with its tokens by name."""

    def __init__(self, network: EmbeddedNetwork) -> None:
        self.network = network
        self.url = network.url
        self._clients: dict[str, Intertie] = {}

    def client(self, name: str) -> Intertie:
        if name not in self._clients:
            self._clients[name] = self.network.client(name)
        return self._clients[name]

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def token(self, name: str) -> str:
        return self.network.tokens()[name]

    def sign_in(self, page: Page, name: str) -> Page:
        page.goto(f"{self.url}/sign-in")
        page.locator("input[name=token]").fill(self.token(name))
        page.locator("form button[type=submit]").click()
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page


@contextmanager
def a_console(folder: Path, listening: Listening | None = None) -> Iterator[Console]:
    """A network with two projects, and a provider whose agent has joined."""
    with EmbeddedNetwork(folder / "network", listening=listening) as network:
        console = Console(network)
        operator = console.client("operator")
        for name in ("alpha", "beta"):
            network.keep_token(name, operator.create_project(name, trial=50).token)
        provider = operator.create_provider("lab")
        network.keep_token("lab", provider.token)
        told = {"enrol_token": provider.enrol_token, "price": "0.20", "lent_cpus": 2, "grace": 1}
        network.add_agent("workstation", told)
        wait_until(lambda: any(offer.score for offer in operator.offers()), network)
        yield console
        console.close()


@contextmanager
def a_browser(*flags: str) -> Iterator[Browser]:
    """A real browser; skips where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: scripts/system-packages.sh chromium")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, *own: str) -> Iterator[Callable[..., Page]]:
    """Give what opens a page; at the end nothing may have gone wrong or elsewhere than to `own`."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []
    addresses: set[str] = set()

    def open_one(lang: str = "en", width: int = 1280) -> Page:
        context = browser.new_context(
            locale=lang, timezone_id="Asia/Shanghai", viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
        page.on("request", lambda request: addresses.add(request.url))
        page.on("websocket", lambda socket: addresses.add(socket.url))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []
    assert {url for url in addresses if not url.startswith((*own, "data:"))} == set()


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: scripts/system-packages.sh chromium")
    with a_console(tmp_path_factory.mktemp("console")) as console:
        yield console


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    with opened(browser, "http://127.0.0.1:", "ws://127.0.0.1:") as open_one:
        yield open_one
