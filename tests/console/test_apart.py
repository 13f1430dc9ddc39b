"""A console apart from its network: what is empty says what to do, and a silence is told."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from intertie.cli.embedded import EmbeddedNetwork, free_port
from intertie.cli.processes import Process, python_command, wait_until_ready
from tests.console.conftest import CHROMIUM, Console
from tests.support.live import wait_until

pytestmark = pytest.mark.browser

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: scripts/system-packages.sh chromium")
    folder: Path = tmp_path_factory.mktemp("apart")
    port = free_port()
    with EmbeddedNetwork(folder / "network") as network:
        console = Console(network)
        token = console.client("operator").create_project("alpha").token
        network.keep_token("alpha", token)
        console.url = f"http://127.0.0.1:{port}"
        command = python_command("tests.console.apart", str(port), network.url)
        process = Process("console", command, folder / "console.log")
        process.start()
        try:
            wait_until(lambda: _answers(console.url), network)
            yield console
        finally:
            process.stop()
            console.close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/sign-in").status_code == 200
    except httpx.TransportError:
        return False


def test_an_empty_network_says_what_to_do_next(apart: Console, open_page: Open) -> None:
    page = apart.sign_in(open_page(), "alpha")
    expect(page.get_by_text(re.compile("the example there runs as it is"))).to_be_visible()
    page.get_by_role("link", name="Network", exact=True).click()
    expect(page.get_by_text(re.compile("Nobody offers anything yet"))).to_be_visible()
    page.get_by_role("link", name="New job").click()
    page.get_by_role("button", name="Quote", exact=True).click()
    said = page.get_by_text(re.compile("No provider (can run|offers)"))
    expect(said.first).to_be_visible()


def test_a_silent_network_is_told_and_forgotten_when_it_speaks_again(
    apart: Console, open_page: Open
) -> None:
    page = apart.sign_in(open_page(), "alpha")
    banner = page.get_by_role("status").filter(has_text="The network does not answer")
    expect(banner).to_have_count(0)
    apart.network.stop()
    expect(banner).to_be_visible()
    apart.network.start()
    wait_until_ready(apart.network.url, apart.network.processes())
    expect(banner).to_have_count(0)
    expect(page.get_by_text(re.compile("the example there runs as it is"))).to_be_visible()
