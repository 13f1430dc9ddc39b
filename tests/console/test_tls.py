"""The console at a door that speaks TLS with a certificate that it signed itself."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Error, expect

from intertie.api.certificates import Certificate, self_signed
from intertie.cli.listening import Listening
from tests.console.conftest import CHROMIUM, Console, a_browser, a_console, opened

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def console(
    tmp_path_factory: pytest.TempPathFactory, certificate: Certificate
) -> Iterator[Console]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium here: scripts/system-packages.sh chromium")
    listening = Listening(0, chain=str(certificate.chain), key=str(certificate.key))
    with a_console(tmp_path_factory.mktemp("console"), listening) as console:
        yield console


def _pin(certificate: Certificate) -> str:
    """Return the option by which a browser believes this very key, and nobody else's."""
    own = x509.load_pem_x509_certificate(certificate.chain.read_bytes()).public_key()
    der = own.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(der).digest()).decode()
    return f"--ignore-certificate-errors-spki-list={pin}"


def test_over_pinned_tls_a_page_follows_a_job_and_nothing_leaves_in_the_clear(
    console: Console, certificate: Certificate
) -> None:
    place = console.url.removeprefix("https://")
    own = (f"https://{place}", f"wss://{place}")
    with a_browser(_pin(certificate)) as browser, opened(browser, *own) as open_page:
        sockets: list[str] = []
        page = open_page()
        page.on("websocket", lambda socket: sockets.append(socket.url))
        console.sign_in(page, "alpha")
        cookies = page.context.cookies()
        assert cookies
        assert all(cookie["secure"] for cookie in cookies)
        page.goto(f"{console.url}/submit")
        page.get_by_label("Job spec (YAML)").fill(
            "name: followed\n"
            "script: for n in 1 2 3; do echo step $n; sleep 1; done\n"
            "time_limit: 1m\n"
            "resources: {cpus: 0.1, memory: 64MiB, disk: 50MiB}\n"
        )
        page.get_by_role("button", name="Submit without a quote").click()
        page.wait_for_url("**/jobs/job-*")
        page.evaluate("window.isTheSamePage = true")
        expect(page.get_by_role("log")).to_contain_text("step 3")
        expect(page.locator(".console-facts").first).to_contain_text("settled")
        assert page.evaluate("window.isTheSamePage"), "it was followed, not loaded again"
        assert sockets
        assert all(url.startswith("wss://") for url in sockets)


def test_a_browser_that_pins_another_key_opens_nothing(console: Console, tmp_path: Path) -> None:
    other = _pin(self_signed(tmp_path, "127.0.0.1"))
    refused = pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID")
    with a_browser(other) as browser, refused:
        browser.new_page().goto(console.url)
