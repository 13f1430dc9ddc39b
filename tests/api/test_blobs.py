"""Content comes in whole or in pieces, is checked against its name, and goes on where it broke.

The same of a door that keeps blobs in its folder, and of one that keeps them in a bucket.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from hashlib import sha256

import httpx
import pytest

from intertie.api.app import create_app
from intertie.api.serving import DoorServer
from intertie.control.wake import Wake
from intertie.model.ids import decode
from intertie.store.blobs import Blobs, FolderBlobs
from intertie.store.s3 import S3Blobs
from tests.api.network import Network, Party, running_network, wait_until
from tests.servers.swift import Swift, swift

__all__ = ["swift"]

CONTENT = bytes(range(256)) * 8192


@pytest.fixture(scope="module", params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest) -> Blobs | None:
    if request.param == "folder":
        return None
    server: Swift = request.getfixturevalue("swift")
    return S3Blobs(server.bucket())


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str, blobs: Blobs | None
) -> Iterator[Network]:
    data = tmp_path_factory.mktemp("network")
    with running_network(data, database=module_database_url, blobs=blobs) as network:
        yield network


@pytest.fixture(scope="module")
def project(network: Network, blobs: Blobs | None) -> Party:
    return network.project(f"packer-{type(blobs).__name__}")


def sha_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def kept(network: Network, blobs: Blobs | None, sha: str) -> list[object]:
    """Return all that the store has of a blob."""
    if isinstance(blobs, S3Blobs):
        return [key for key in blobs._bucket.keys("") if sha in key]
    return list((network.data / "blobs").rglob(f"{sha}*"))


@contextmanager
def another_door(network: Network, blobs: Blobs | None) -> Iterator[str]:
    wake = Wake(network.data, "door-2", network.engine)
    server = DoorServer(create_app(network.engine, wake, network.data, blobs))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        wake.close()


def put_piece(
    http: httpx.Client, content: bytes, first: int, last: int, **known: str
) -> httpx.Response:
    span = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
    return http.put(
        f"/blobs/{sha_of(content)}", content=content[first : last + 1], headers=span | known
    )


def test_a_whole_blob_comes_back_as_it_was(project: Party) -> None:
    blob = f"/blobs/{sha_of(CONTENT)}"
    missing = project.http.head(blob)
    put = project.http.put(blob, content=CONTENT)
    again = project.http.put(blob, content=CONTENT)
    there = project.http.head(blob)
    assert (missing.status_code, put.status_code, again.status_code) == (404, 201, 200)
    assert there.headers["content-length"] == str(len(CONTENT))
    assert project.http.get(blob).content == CONTENT
    part = project.http.get(blob, headers={"Range": "bytes=256-259"})
    assert (part.status_code, part.content) == (206, bytes([0, 1, 2, 3]))


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        ("bytes=5-", 206, 5, None),
        ("bytes=-7", 206, -7, None),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-99999999", 206, 10, None),
        ("bytes=1-2,4-5", 200, 0, None),
        ("lines=1-2", 200, 0, None),
        ("bytes=99999999-", 416, 0, 0),
        ("bytes=5-4", 416, 0, 0),
    ],
)
def test_a_range_is_served_and_what_is_none_is_named(
    project: Party, asked: str, status: int, first: int, end: int | None
) -> None:
    content = CONTENT[:3_000_000]
    blob = f"/blobs/{sha_of(content)}"
    project.http.put(blob, content=content)
    part = project.http.get(blob, headers={"Range": asked})
    assert part.status_code == status
    if status == 416:
        assert part.headers["content-range"] == f"bytes */{len(content)}"
    else:
        assert part.content == content[first:end]
    changed = project.http.get(blob, headers={"Range": asked, "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, content)


def test_an_empty_blob_is_a_blob(project: Party) -> None:
    blob = f"/blobs/{sha_of(b'')}"
    assert project.http.put(blob, content=b"").status_code == 201
    assert project.http.get(blob).content == b""


def test_another_door_goes_on_with_an_upload(
    network: Network, project: Party, blobs: Blobs | None
) -> None:
    """It knows nothing but what the store holds."""
    content = CONTENT * 10
    put_piece(project.http, content, 0, 8_999_999)
    with another_door(network, blobs) as url, network.client(project.token) as http:
        http.base_url = httpx.URL(f"{url}/v1")
        second = put_piece(http, content, 9_000_000, 9_000_099)
        third = put_piece(project.http, content, 9_000_100, len(content) - 1)
        assert (second.status_code, third.status_code) == (202, 201)
        assert http.get(f"/blobs/{sha_of(content)}").content == content


def test_an_upload_goes_on_where_it_broke(project: Party) -> None:
    content = CONTENT + b"pieces"
    first = put_piece(project.http, content, 0, 999_999)
    lost = put_piece(project.http, content, 0, 10)
    gap = put_piece(project.http, content, 1_500_000, 1_600_000)
    second = put_piece(project.http, content, 1_000_000, len(content) - 1)
    assert (first.status_code, first.headers["x-intertie-offset"]) == (202, "1000000")
    for wrong in (lost, gap):
        assert (wrong.status_code, wrong.headers["x-intertie-offset"]) == (409, "1000000")
        assert wrong.json()["code"] == "offset_mismatch"
    assert second.status_code == 201
    assert project.http.get(f"/blobs/{sha_of(content)}").content == content


def test_an_upload_whose_door_died_before_its_end_is_ended_by_the_piece_sent_again(
    network: Network, project: Party, blobs: Blobs | None
) -> None:
    content = CONTENT + b"died"
    store = blobs or FolderBlobs(network.data)
    with closing(store.piece(sha_of(content), str(decode("project", project.id)), 0)) as upload:
        upload.write(content)
        upload.flush()
    again = put_piece(project.http, content, 1_000_000, len(content) - 1)
    assert again.status_code == 201
    assert project.http.get(f"/blobs/{sha_of(content)}").content == content


def test_wrong_content_is_not_kept(network: Network, project: Party, blobs: Blobs | None) -> None:
    sha = sha_of(b"promised")
    whole = project.http.put(f"/blobs/{sha}", content=b"given")
    piece = project.http.put(
        f"/blobs/{sha}", content=b"given!!!", headers={"Content-Range": "bytes 0-7/8"}
    )
    assert [whole.status_code, piece.status_code] == [422, 422]
    assert whole.json()["code"] == "hash_mismatch"
    assert project.http.head(f"/blobs/{sha}").status_code == 404
    assert kept(network, blobs, sha) == []


@pytest.mark.parametrize(
    "span", ["bytes 5-1/9", "bytes 0-9/9", "bytes */9", "0-", "bytes 0-99999999999999999999/1"]
)
def test_a_range_that_makes_no_sense_is_named(span: str, project: Party) -> None:
    answer = project.http.put(
        f"/blobs/{sha_of(b'x')}", content=b"x", headers={"Content-Range": span}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Content-Range"


def test_a_piece_longer_than_its_range_is_refused(project: Party) -> None:
    content = b"0123456789"
    answer = project.http.put(
        f"/blobs/{sha_of(content)}", content=content, headers={"Content-Range": "bytes 0-3/10"}
    )
    assert answer.status_code == 422
    assert put_piece(project.http, content, 0, 9).status_code == 201


def test_a_name_that_is_no_hash_is_refused(project: Party) -> None:
    assert project.http.get("/blobs/..%2f..%2fnetwork.sqlite").status_code in (404, 422)
    assert project.http.get("/blobs/abc").status_code == 422


def test_a_blob_may_not_be_larger_than_the_limit(network: Network, project: Party) -> None:
    content = b"x" * 100
    span = {"Content-Range": f"bytes 0-99/{2**40}"}
    answer = project.http.put(f"/blobs/{sha_of(content)}", content=content, headers=span)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "20 GiB" in answer.json()["detail"]


def test_two_writers_of_one_blob_do_not_spoil_each_others(
    network: Network, project: Party, blobs: Blobs | None
) -> None:
    content, other = CONTENT + b"twice", network.project(f"second-{type(blobs).__name__}")
    barrier = threading.Barrier(4)

    def put(party: Party) -> int:
        def slowly() -> "list[bytes]":
            barrier.wait()
            return [content[at : at + 99_999] for at in range(0, len(content), 99_999)]

        with network.client(party.token) as http:
            return http.put(f"/blobs/{sha_of(content)}", content=iter(slowly())).status_code

    with ThreadPoolExecutor() as threads:
        found = list(threads.map(put, [project, other, project, other]))
    assert set(found) <= {200, 201}
    for party in (project, other):
        assert party.http.get(f"/blobs/{sha_of(content)}").content == content
