"""Blobs in a bucket of a real server: nothing acknowledged is lost, nothing wrong is shown."""

import os
import signal
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from intertie.model.units import MIB
from intertie.store.artefacts import ARTEFACTS, ENDPOINT, blobs_told_by, open_bucket
from intertie.store.blobs import (
    Blobs,
    BlobTooLarge,
    Damaged,
    FolderBlobs,
    Misplaced,
    StoreAway,
    WrongHash,
    checked,
)
from intertie.store.s3 import PART_BYTES, Bucket, S3Blobs
from tests.servers.swift import Swift, swift

__all__ = ["swift"]

OWNER = "7"


@pytest.fixture
def bucket(swift: Swift) -> Bucket:
    return swift.bucket()


@pytest.fixture
def blobs(bucket: Bucket) -> S3Blobs:
    return S3Blobs(bucket)


@pytest.fixture(params=["folder", "bucket"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "folder":
        return FolderBlobs(tmp_path)
    return S3Blobs(request.getfixturevalue("swift").bucket())


def some(size: int, salt: int = 0) -> bytes:
    return (bytes(range(256)) * (size // 256 + 1))[salt : salt + size]


def sha_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def put(blobs: Blobs, content: bytes, step: int = MIB) -> str:
    sha = sha_of(content)
    with closing(blobs.whole(sha)) as upload:
        for at in range(0, len(content), step):
            upload.write(content[at : at + step])
        upload.finish()
    return sha


def send(blobs: Blobs, content: bytes, first: int, end: int) -> int:
    """Send a piece as a door does; return how much there is then."""
    with closing(blobs.piece(sha_of(content), OWNER, first)) as upload:
        upload.write(content[first:end])
        upload.flush()
        if upload.size_bytes == len(content):
            upload.finish()
        return upload.size_bytes


def get(blobs: Blobs, sha: str) -> bytes:
    size = blobs.size(sha)
    assert size is not None
    return b"".join(checked(blobs, sha, size))


@pytest.mark.parametrize(
    "size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 77]
)
def test_blobs_of_every_size_come_back_whole(either: Blobs, size: int) -> None:
    content = some(size)
    assert get(either, put(either, content)) == content


def test_any_part_of_a_blob_can_be_read(either: Blobs) -> None:
    content = some(2 * PART_BYTES + 100)
    sha = put(either, content)
    for first, size in ((0, 1), (PART_BYTES - 3, 6), (len(content) - 5, 5)):
        assert b"".join(either.read(sha, first, size)) == content[first : first + size]


def test_what_is_not_there_is_not_there(either: Blobs) -> None:
    assert either.size("0" * 64) is None
    with pytest.raises(KeyError):
        list(either.read("0" * 64, 0, 5))


def test_wrong_content_is_never_shown_and_leaves_nothing(bucket: Bucket, blobs: S3Blobs) -> None:
    sha = sha_of(b"promised")
    for size in (5, PART_BYTES + 5):
        with closing(blobs.whole(sha)) as upload:
            upload.write(some(size))
            with pytest.raises(WrongHash):
                upload.finish()
        with closing(blobs.piece(sha, OWNER, 0)) as upload:
            upload.write(some(size))
            with pytest.raises(WrongHash):
                upload.finish()
    assert bucket.keys("") == []
    assert _unfinished(bucket) == []


def test_a_whole_upload_that_breaks_off_leaves_nothing(bucket: Bucket, blobs: S3Blobs) -> None:
    with closing(blobs.whole("1" * 64)) as upload:
        upload.write(some(2 * PART_BYTES))
        assert len(_unfinished(bucket)) == 1
    assert bucket.keys("") == []
    assert _unfinished(bucket) == []


def test_too_much_is_refused_and_leaves_nothing(bucket: Bucket) -> None:
    small = S3Blobs(bucket, bytes_max=PART_BYTES + 10)
    for begin in (lambda: small.whole("1" * 64), lambda: small.piece("1" * 64, OWNER, 0)):
        with closing(begin()) as upload:
            upload.write(some(PART_BYTES))
            with pytest.raises(BlobTooLarge):
                upload.write(some(11))
    assert bucket.keys("") == []


def test_an_upload_that_was_cut_goes_on_at_the_byte_it_reached(
    bucket: Bucket, blobs: S3Blobs
) -> None:
    content = some(3 * PART_BYTES + 1000)
    cut = PART_BYTES + 12_345
    upload = blobs.piece(sha_of(content), OWNER, 0)
    upload.write(content[:cut])
    upload.close()  # the connection broke: nobody flushed
    another_door = S3Blobs(bucket)
    with pytest.raises(Misplaced) as told:
        another_door.piece(sha_of(content), OWNER, 0)
    assert told.value.offset == cut
    assert send(another_door, content, cut, len(content)) == len(content)
    assert get(blobs, sha_of(content)) == content
    assert bucket.keys("incoming/") == []


def test_two_doors_that_take_the_same_pieces_at_once_make_one_right_blob(
    bucket: Bucket, blobs: S3Blobs
) -> None:
    content = some(2 * PART_BYTES + 500)
    sha, other = sha_of(content), S3Blobs(bucket)
    slow, quick = blobs.piece(sha, OWNER, 0), other.piece(sha, OWNER, 0)
    slow.write(content[: PART_BYTES + 10])
    quick.write(content[:1000])
    quick.close()  # a shorter piece of the same name takes the place of the first
    slow.close()
    with pytest.raises(Misplaced) as told:
        blobs.piece(sha, OWNER, PART_BYTES + 10)
    assert told.value.offset == 1000
    send(blobs, content, 1000, len(content))
    assert get(other, sha) == content
    assert bucket.keys("incoming/") == []


def test_owners_do_not_see_each_others_pieces(blobs: S3Blobs) -> None:
    content = some(500)
    send(blobs, content, 0, 400)
    with pytest.raises(Misplaced) as told:
        blobs.piece(sha_of(content), "8", 400)
    assert told.value.offset == 0


def test_a_blob_that_was_changed_in_the_store_is_never_handed_out_whole(
    bucket: Bucket, blobs: S3Blobs
) -> None:
    content = some(3 * MIB)
    sha = put(blobs, content)
    bucket.put(f"blobs/{sha[:2]}/{sha}", b"x" + content[1:])
    handed: list[bytes] = []
    with pytest.raises(Damaged):
        handed.extend(checked(blobs, sha, len(content)))
    assert sum(map(len, handed)) < len(content)


def test_a_store_that_is_away_says_so_and_has_everything_when_it_is_back(
    swift: Swift, blobs: S3Blobs
) -> None:
    content, later = some(1000), some(2000, 3)
    sha = put(blobs, content)
    send(blobs, later, 0, 1500)
    upload = blobs.piece(sha_of(later), OWNER, 1500)
    swift.end("proxy", signal.SIGKILL)
    try:
        for ask in (
            lambda: blobs.size(sha),
            lambda: list(blobs.read(sha, 0, 5)),
            lambda: blobs.piece(sha_of(later), OWNER, 1500),
            lambda: put(blobs, some(10)),
            lambda: (upload.write(later[1500:]), upload.finish()),
        ):
            with pytest.raises(StoreAway):
                ask()
        upload.close()
    finally:
        swift.start()
    assert get(blobs, sha) == content
    assert blobs.size(sha_of(later)) is None
    send(blobs, later, 1500, len(later))
    assert get(blobs, sha_of(later)) == later


def test_a_wrong_key_and_a_bucket_that_is_not_there_are_told_apart(
    swift: Swift, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = open_bucket("s3://absent/x", swift.url)
    assert absent is not None
    with pytest.raises(StoreAway, match="no bucket absent"):
        absent.check()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    stranger = open_bucket("s3://absent/x", swift.url)
    assert stranger is not None
    with pytest.raises(StoreAway, match="403"):
        stranger.check()


def test_memory_is_flat_however_large_a_blob(blobs: S3Blobs) -> None:
    block, count = some(MIB), 160
    digest = sha256()
    for _ in range(count):
        digest.update(block)
    sha = digest.hexdigest()
    put(blobs, block)  # what is imported and kept open has its memory by now
    most_bytes = _rss() + 64 * MIB
    for upload in (blobs.whole(sha), blobs.piece(sha, OWNER, 0)):
        with closing(upload):
            for _ in range(count):
                upload.write(block)
            upload.finish()
        assert _rss() < most_bytes
    for _ in checked(blobs, sha, count * MIB):
        assert _rss() < most_bytes


def test_settings_that_make_no_sense_are_named(tmp_path: Path) -> None:
    for told, name in (
        ({ARTEFACTS: "bucket/x"}, ARTEFACTS),
        ({ARTEFACTS: "s3://"}, ARTEFACTS),
        ({ARTEFACTS: "s3://b/x", ENDPOINT: "127.0.0.1:9"}, ENDPOINT),
    ):
        with pytest.raises(ValueError, match=f"^{name}:"):
            blobs_told_by(told, tmp_path)
    assert isinstance(blobs_told_by({}, tmp_path), FolderBlobs)
    assert isinstance(blobs_told_by({ARTEFACTS: "s3://b"}, tmp_path), S3Blobs)


def _unfinished(bucket: Bucket) -> list[str]:
    told = bucket._ask("list_multipart_uploads")
    return [row["Key"] for row in told.get("Uploads", [])]


def _rss() -> int:
    return int(psutil.Process(os.getpid()).memory_info().rss)
