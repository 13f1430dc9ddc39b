"""Content comes in whole or in pieces, is checked against its name, and goes on where it broke."""

import threading
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import httpx
import pytest

from tests.api.network import Network, Party

CONTENT = bytes(range(256)) * 8192


@pytest.fixture(scope="module")
def project(network: Network) -> Party:
    return network.project("packer")


def sha_of(content: bytes) -> str:
    return sha256(content).hexdigest()


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


def test_wrong_content_is_not_kept(network: Network, project: Party) -> None:
    sha = sha_of(b"promised")
    whole = project.http.put(f"/blobs/{sha}", content=b"given")
    piece = project.http.put(
        f"/blobs/{sha}", content=b"given!!!", headers={"Content-Range": "bytes 0-7/8"}
    )
    assert [whole.status_code, piece.status_code] == [422, 422]
    assert whole.json()["code"] == "hash_mismatch"
    assert project.http.head(f"/blobs/{sha}").status_code == 404
    assert list((network.data / "blobs").rglob(f"{sha}*")) == []


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


def test_two_writers_of_one_blob_do_not_spoil_each_others(network: Network, project: Party) -> None:
    content, other = CONTENT + b"twice", network.project("second-packer")
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
