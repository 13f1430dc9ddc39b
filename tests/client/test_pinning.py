"""TLS: one certificate is believed by its fingerprint, over every kind of connection."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from intertie.agent.door import Door, Unreachable, Untrusted
from intertie.agent.key import load_key
from intertie.api.certificates import Certificate, self_signed
from intertie.client import Intertie
from intertie.client import Unreachable as NoNetwork
from intertie.client.pinning import WrongCertificate, split_address, trust, why_not_trusted

OTHER = f"sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def url(certificate: Certificate) -> Iterator[str]:
    """Serve over TLS as a door does; the address."""
    import uvicorn

    app = FastAPI()
    app.get("/v1/me")(lambda: {"role": "operator", "name": "me", "network": "n", "version": "1"})
    enrolled = {"agent": "agent-0001", "network": "n", "incarnation": 1}
    app.post("/v1/agents")(lambda: enrolled)
    chain, key = certificate.chain, certificate.key
    config = uvicorn.Config(app, port=0, log_config=None, ssl_certfile=chain, ssl_keyfile=key)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"https://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)


def test_the_pinned_certificate_is_believed(
    url: str, certificate: Certificate, tmp_path: Path
) -> None:
    with Intertie(f"{url}#{certificate.fingerprint()}", "t") as network:
        assert network.me().name == "me"
        assert network.url == url
    door = Door(url, load_key(tmp_path), certificate.fingerprint())
    assert door.enrol("token", "lab").agent == "agent-0001"
    door.client.close()


def test_another_certificate_is_refused_and_both_are_named(
    url: str, certificate: Certificate, tmp_path: Path
) -> None:
    with Intertie(f"{url}#{OTHER}", "t") as network, pytest.raises(NoNetwork) as told:
        network.me()
    assert told.value.problem.code == "untrusted"
    door = Door(url, load_key(tmp_path), OTHER)
    with pytest.raises(Untrusted) as refused:
        door.enrol("token", "lab")
    door.client.close()
    for text in (told.value.problem.detail, str(refused.value)):
        assert OTHER in text
        assert certificate.fingerprint() in text


def test_without_a_fingerprint_only_the_system_s_authorities_are_believed(url: str) -> None:
    with Intertie(url, "t") as network, pytest.raises(NoNetwork) as told:
        network.me()
    assert "fingerprint" in told.value.problem.detail


def test_asynchronous_connections_are_pinned_too(url: str, certificate: Certificate) -> None:
    async def ask(fingerprint: str) -> int:
        async with httpx.AsyncClient(verify=trust(fingerprint)) as client:
            return (await client.get(f"{url}/v1/me")).status_code

    assert asyncio.run(ask(certificate.fingerprint())) == 200
    with pytest.raises(httpx.ConnectError) as told:
        asyncio.run(ask(OTHER))
    assert OTHER in why_not_trusted(told.value)


def test_who_does_not_answer_is_not_called_untrusted(tmp_path: Path) -> None:
    door = Door("https://127.0.0.1:1", load_key(tmp_path), OTHER)
    with pytest.raises(Unreachable) as told:
        door.enrol("token", "lab")
    door.client.close()
    assert not isinstance(told.value, Untrusted)
    assert issubclass(WrongCertificate, Exception)


def test_a_certificate_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = self_signed(tmp_path, "10.0.0.1")
    assert self_signed(tmp_path, "10.0.0.1").fingerprint() == first.fingerprint()
    for path in (first.chain, first.key):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "address", [f"http://h:1#{OTHER}", "https://h:1#sha256:12", "https://h:1#"]
)
def test_a_fingerprint_is_for_https_and_whole(address: str) -> None:
    with pytest.raises(ValueError, match="sha256"):
        split_address(address)


def test_an_address_may_carry_its_fingerprint() -> None:
    assert split_address(f"https://h:1/v1#{OTHER}") == ("https://h:1", OTHER)
    assert split_address("http://h:1/") == ("http://h:1", "")
