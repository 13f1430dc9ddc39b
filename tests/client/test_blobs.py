"""Uploads that continue where they broke off, and downloads that are checked."""

import re
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from intertie.client import BadInput, IntertieError, blobs
from intertie.wire.jobs import FileView
from tests.client.answers import Answers, page, problem
from tests.client.samples import a_job


class BlobDoor:
    """A door that keeps blobs as the contract says; it may drop the connection in mid-chunk."""

    def __init__(self, breaks_after: int = 0) -> None:
        self.held = bytearray()
        self.breaks_after = breaks_after
        self.puts = 0

    def put(self, request: httpx.Request) -> httpx.Response:
        self.puts += 1
        told = request.headers.get("Content-Range")
        if told is None:
            self.held[:] = request.content
            return httpx.Response(201)
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", told)
        assert match is not None
        first, last, total = map(int, match.groups())
        assert last - first + 1 == len(request.content)
        if first != len(self.held):
            return httpx.Response(409, headers={"X-Intertie-Offset": str(len(self.held))})
        if self.puts == self.breaks_after:
            self.held += request.content[: len(request.content) // 2]
            raise httpx.WriteError("connection lost")
        self.held += request.content
        if len(self.held) == total:
            return httpx.Response(201)
        return httpx.Response(202, headers={"X-Intertie-Offset": str(len(self.held))})


def a_folder(at: Path, size: int) -> Path:
    at.mkdir()
    # Bytes that do not shrink when packed.
    noise = b"".join(sha256(str(n).encode()).digest() for n in range(size // 32))
    (at / "noise").write_bytes(noise)
    return at


def upload(folder: Path, door: BlobDoor, **known: object) -> tuple[str, Answers]:
    from intertie.client.folders import pack

    with pack(folder) as packed:
        answers = Answers().on("HEAD", f"blobs/{packed.sha256}", httpx.Response(404))
        answers.on("PUT", f"blobs/{packed.sha256}", door.put)
    return answers.client().upload(folder, **known), answers  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "CHUNK_BYTES", 1000)


def test_a_small_folder_goes_up_whole(tmp_path: Path) -> None:
    door = BlobDoor()
    name, _ = upload(a_folder(tmp_path / "job", 320), door)
    assert sha256(door.held).hexdigest() == name
    assert door.puts == 1


def test_a_large_folder_goes_up_in_chunks_with_progress(tmp_path: Path) -> None:
    door, told = BlobDoor(), []
    name, _ = upload(
        a_folder(tmp_path / "job", 6400), door, on_progress=lambda done, total: told.append(done)
    )
    assert sha256(door.held).hexdigest() == name
    assert told == sorted(told)
    assert told[-1] == len(door.held)


def test_an_upload_goes_on_where_the_connection_was_lost(tmp_path: Path) -> None:
    door = BlobDoor(breaks_after=3)
    name, _ = upload(a_folder(tmp_path / "job", 6400), door)
    assert sha256(door.held).hexdigest() == name


def test_what_the_network_has_is_not_sent_again(tmp_path: Path) -> None:
    door = BlobDoor()
    name, answers = upload(a_folder(tmp_path / "job", 320), door)
    answers.on("HEAD", f"blobs/{name}", httpx.Response(200))
    answers.client().upload(tmp_path / "job")
    assert door.puts == 1


def test_an_upload_that_does_not_get_on_ends(tmp_path: Path) -> None:
    class Stuck(BlobDoor):
        def put(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(409, headers={"X-Intertie-Offset": "0"})

    with pytest.raises(BadInput, match="does not get on"):
        upload(a_folder(tmp_path / "job", 6400), Stuck())


def test_submit_uploads_the_folder_and_names_its_hash(tmp_path: Path) -> None:
    door = BlobDoor()
    folder = a_folder(tmp_path / "job", 320)
    name, answers = upload(folder, door)
    answers.on("POST", "jobs", a_job())
    answers.client().submit({"command": ["ls"]}, workdir=folder)
    assert answers.body("POST", "jobs")["spec"]["workdir"] == name


def test_a_quote_names_the_hash_and_uploads_nothing(tmp_path: Path) -> None:
    from tests.client.samples import a_quote

    door = BlobDoor()
    folder = a_folder(tmp_path / "job", 320)
    name, answers = upload(folder, door)
    answers.requests.clear()
    answers.on("POST", "quotes", a_quote())
    answers.client().quote({"command": ["ls"]}, folder)
    assert answers.body("POST", "quotes")["spec"]["workdir"] == name
    assert [each.method for each in answers.requests] == ["POST"]


def a_result(task: int, path: str, content: bytes, **known: object) -> FileView:
    given = {"size_bytes": len(content), "sha256": sha256(content).hexdigest(), "kind": "result"}
    return FileView.model_validate({"task": task, "path": path} | given | known)


def with_files(*files: tuple[FileView, bytes], tasks: int = 1) -> Answers:
    answers = Answers().on("GET", "jobs/job-000c", a_job(task_count=tasks))
    answers.on("GET", "jobs/job-000c/files", page(*(file for file, _ in files)))
    for file, content in files:
        where = f"jobs/job-000c/files/{file.task}/{file.path}"
        answers.on("GET", where, lambda _, c=content: httpx.Response(200, content=c))
    return answers


def test_results_of_one_task_come_into_the_folder_itself(tmp_path: Path) -> None:
    answers = with_files((a_result(0, "out/a.json", b"{}"), b"{}"))
    assert answers.client().results("job-000c", tmp_path) == [tmp_path / "out" / "a.json"]
    assert (tmp_path / "out" / "a.json").read_bytes() == b"{}"


def test_results_of_an_array_come_into_one_folder_each(tmp_path: Path) -> None:
    files = [(a_result(n, "a.json", b"%d" % n), b"%d" % n) for n in range(2)]
    with_files(*files, tasks=2).client().results("job-000c", tmp_path)
    assert (tmp_path / "1" / "a.json").read_bytes() == b"1"


def test_results_that_are_here_are_not_fetched_again(tmp_path: Path) -> None:
    answers = with_files((a_result(0, "a.json", b"{}"), b"{}"))
    answers.client().results("job-000c", tmp_path)
    answers.client().results("job-000c", tmp_path)
    assert len(answers.sent("GET", "jobs/job-000c/files/0/a.json")) == 1


def test_checkpoints_are_no_results(tmp_path: Path) -> None:
    saved = a_result(0, "saved", b"x", kind="checkpoint")
    assert with_files((saved, b"x")).client().results("job-000c", tmp_path) == []


def test_a_result_with_other_content_is_refused_and_not_kept(tmp_path: Path) -> None:
    answers = with_files((a_result(0, "a.json", b"good"), b"evil"))
    with pytest.raises(IntertieError, match="other content"):
        answers.client().results("job-000c", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["../out", "/etc/passwd", "a/../../b", "."])
def test_a_result_never_lands_outside_its_folder(tmp_path: Path, path: str) -> None:
    answers = with_files((a_result(0, path, b"x"), b"x"))
    with pytest.raises(IntertieError, match="outside the folder"):
        answers.client().results("job-000c", tmp_path / "to")


def test_a_result_that_is_gone_is_not_found(tmp_path: Path) -> None:
    answers = with_files((a_result(0, "a", b"x"), b"x"))
    answers.on("GET", "jobs/job-000c/files/0/a", problem(404, "not_found"))
    with pytest.raises(IntertieError) as caught:
        answers.client().results("job-000c", tmp_path)
    assert caught.value.status == 404
