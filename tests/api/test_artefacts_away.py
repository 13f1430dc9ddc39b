"""A door whose store of blobs is away: it says so and is a door in everything else."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import pytest

from intertie.store.s3 import S3Blobs
from tests.api.network import SPEC, Network, Party, running_network
from tests.servers.swift import Swift, swift

__all__ = ["swift"]

CONTENT = b"acknowledged" * 1000


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory, swift: Swift) -> Iterator[Network]:
    blobs = S3Blobs(swift.bucket())
    with running_network(tmp_path_factory.mktemp("network"), blobs=blobs) as network:
        yield network


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("away")


def test_uploads_and_downloads_are_answered_503_and_nothing_acknowledged_is_lost(
    swift: Swift, project: Party
) -> None:
    kept = f"/blobs/{sha256(CONTENT).hexdigest()}"
    lost = f"/blobs/{sha256(b'later').hexdigest()}"
    assert project.http.put(kept, content=CONTENT).status_code == 201
    swift.end("proxy", signal.SIGKILL)
    try:
        span = {"Content-Range": "bytes 0-4/5"}
        answers = [
            project.http.get(kept),
            project.http.head(kept),
            project.http.put(lost, content=b"later"),
            project.http.put(lost, content=b"later", headers=span),
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        assert answers[0].json()["code"] == "unavailable"
        assert "Nothing that was acknowledged is lost" in answers[0].json()["detail"]
    finally:
        swift.start()
    assert project.http.get(kept).content == CONTENT
    assert project.http.get(lost).status_code == 404
    assert project.http.put(lost, content=b"later").status_code == 201
    assert project.http.get(lost).content == b"later"


def test_a_store_that_hangs_keeps_nobody_else_waiting(swift: Swift, project: Party) -> None:
    kept = f"/blobs/{sha256(CONTENT).hexdigest()}"
    project.http.put(kept, content=CONTENT)
    swift.freeze()
    try:
        with ThreadPoolExecutor(16) as threads:
            hanging = [threads.submit(project.http.get, kept) for _ in range(16)]
            refused = project.http.post("/jobs", json={"spec": SPEC})
            assert refused.json()["refusal"]["code"] == "no_offers"
            assert not all(each.done() for each in hanging)
            swift.thaw()
            assert {each.result().content for each in hanging} == {CONTENT}
    finally:
        swift.thaw()
