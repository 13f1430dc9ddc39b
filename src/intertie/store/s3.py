"""Blobs in a bucket of any S3-compatible store; several doors share it, none keeps anything.

``<prefix>/blobs/<first two digits>/<sha256>`` are whole blobs. They come by multipart upload, and
are completed only once their hash is known to be right. ``<prefix>/incoming/<sha256>/<owner>/``
holds the pieces of uploads that go on, each named by its offset: which of them join is read from
their names and sizes, so any door continues what another began, and two doors that take the same
piece at once do no harm. The hash over all of them has the last word.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import md5, sha256
from typing import Any

from intertie.model.units import MIB
from intertie.store.blobs import (
    BLOB_BYTES_MAX,
    BlobTooLarge,
    Misplaced,
    StoreAway,
    Upload,
    WrongHash,
    check_sha,
)

PART_BYTES = 8 * MIB  # a store takes parts from 5 MiB on, and at most 10 000 of them
MISSING = ("404", "NoSuchKey", "NotFound")


class S3Blobs:
    """The blobs below a prefix of one bucket."""

    def __init__(self, bucket: "Bucket", bytes_max: int = BLOB_BYTES_MAX) -> None:
        self._bucket = bucket
        self.bytes_max = bytes_max

    def size(self, sha: str) -> int | None:
        try:
            return int(self._bucket.ask("head_object", _blob(sha))["ContentLength"])
        except KeyError:
            return None

    def read(self, sha: str, first: int, size_bytes: int) -> Iterator[bytes]:
        return self._bucket.read(_blob(sha), first, size_bytes)

    def whole(self, sha: str) -> Upload:
        return Whole(self._bucket, sha, self.bytes_max)

    def piece(self, sha: str, owner: str, offset: int) -> Upload:
        folder = f"incoming/{check_sha(sha)}/{owner}/"
        held = _joined(self._bucket.sizes(folder))
        size = sum(held.values())
        if offset != size:
            raise Misplaced(size)
        return Pieces(self._bucket, sha, folder, held, self.bytes_max)


class Whole:
    """A blob that comes in one go: its parts are sent on as they come, and hashed meanwhile."""

    def __init__(self, bucket: "Bucket", sha: str, bytes_max: int) -> None:
        self._bucket, self._sha, self._bytes_max = bucket, sha, bytes_max
        self._digest = sha256()
        self._rest = bytearray()
        self._upload = ""
        self._parts: list[dict[str, Any]] = []
        self.size_bytes = 0

    def write(self, content: bytes) -> None:
        self.size_bytes += len(content)
        if self.size_bytes > self._bytes_max:
            raise BlobTooLarge
        self._digest.update(content)
        self._rest += content
        while len(self._rest) >= PART_BYTES:
            self._send_part(bytes(self._rest[:PART_BYTES]))
            del self._rest[:PART_BYTES]

    def flush(self) -> None:
        """There is nobody who could go on with it."""

    def finish(self) -> None:
        if self._digest.hexdigest() != self._sha:
            raise WrongHash
        if not self._upload:
            self._bucket.put(_blob(self._sha), bytes(self._rest))
            return
        if self._rest:
            self._send_part(bytes(self._rest))
        told = {"UploadId": self._upload, "MultipartUpload": {"Parts": self._parts}}
        self._bucket.ask("complete_multipart_upload", _blob(self._sha), **told)
        self._upload = ""

    def drop(self) -> None:
        if self._upload:
            with suppress(StoreAway, KeyError):
                self._bucket.ask("abort_multipart_upload", _blob(self._sha), UploadId=self._upload)
        self._upload = ""

    def close(self) -> None:
        self.drop()

    def _send_part(self, content: bytes) -> None:
        key = _blob(self._sha)
        if not self._upload:
            self._upload = self._bucket.ask("create_multipart_upload", key)["UploadId"]
        number = len(self._parts) + 1
        told = {"UploadId": self._upload, "PartNumber": number}
        sent = self._bucket.put(key, content, "upload_part", **told)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


class Pieces:
    """A blob that comes in pieces: each is an object, and together they are sent on at the end."""

    def __init__(
        self, bucket: "Bucket", sha: str, folder: str, held: dict[int, int], bytes_max: int
    ) -> None:
        self._bucket, self._sha, self._folder = bucket, sha, folder
        self._held, self._bytes_max = held, bytes_max
        self._rest = bytearray()
        self.size_bytes = sum(held.values())

    def write(self, content: bytes) -> None:
        if self.size_bytes + len(content) > self._bytes_max:
            self.drop()
            raise BlobTooLarge
        self._rest += content
        self.size_bytes += len(content)
        while len(self._rest) >= PART_BYTES:
            self._send(PART_BYTES)

    def flush(self) -> None:
        if self._rest:
            self._send(len(self._rest))

    def finish(self) -> None:
        self.flush()
        whole = Whole(self._bucket, self._sha, self._bytes_max)
        with closing(whole):
            try:
                for offset, size in self._held.items():
                    for content in self._bucket.read(self._key(offset), 0, size):
                        whole.write(content)
                whole.finish()
            except WrongHash:
                self.drop()
                raise
            except KeyError:  # another door finished the same upload, or dropped it
                raise StoreAway("a piece of the upload is gone: it has to be sent again") from None
        self.drop()

    def drop(self) -> None:
        """Keep nothing of it; what cannot be removed now is found by its folder later."""
        self._rest.clear()
        with suppress(StoreAway, KeyError):
            for key in self._bucket.keys(self._folder):
                self._bucket.ask("delete_object", key)
        self._held = {}

    def close(self) -> None:
        with suppress(StoreAway, KeyError):
            self.flush()

    def _send(self, size: int) -> None:
        offset = sum(self._held.values())
        self._bucket.put(self._key(offset), bytes(self._rest[:size]))
        self._held[offset] = size
        del self._rest[:size]

    def _key(self, offset: int) -> str:
        return f"{self._folder}{offset:014}"


class Bucket:
    """What is below one prefix of a bucket, by keys that begin after it.

    Every verb raises StoreAway when the store does not do it, and KeyError when a key is not there.
    """

    def __init__(self, client: Any, name: str, prefix: str = "") -> None:
        self._client, self.name = client, name
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")

    def ask(self, verb: str, key: str, **told: Any) -> Any:
        """Return the answer to one request about an object."""
        return self._ask(verb, Key=self._prefix + key, **told)

    def put(self, key: str, content: bytes, verb: str = "put_object", **told: Any) -> Any:
        """Put an object or a part; the store compares its checksum before it takes it."""
        checksum = b64encode(md5(content, usedforsecurity=False).digest()).decode()
        return self.ask(verb, key, Body=content, ContentMD5=checksum, **told)

    def read(self, key: str, first: int, size_bytes: int) -> Iterator[bytes]:
        """Yield a part of an object."""
        if size_bytes == 0:
            yield b""
            return
        span = f"bytes={first}-{first + size_bytes - 1}"
        body = self.ask("get_object", key, Range=span)["Body"]
        with closing(body):
            while content := _answered(body.read, MIB):
                yield content

    def sizes(self, folder: str) -> dict[int, int]:
        """Return the sizes of the objects in a folder that are named by numbers."""
        found = self._list(folder)
        return {int(row["Key"].rpartition("/")[2]): int(row["Size"]) for row in found}

    def keys(self, folder: str) -> list[str]:
        """Return the keys of everything in a folder."""
        return [row["Key"].removeprefix(self._prefix) for row in self._list(folder)]

    def check(self) -> None:
        """Return if the bucket is there and ours to use."""
        try:
            self._ask("head_bucket")
        except KeyError:
            raise StoreAway(f"there is no bucket {self.name}") from None

    def _list(self, folder: str) -> list[Any]:
        rows: list[Any] = []
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=self._prefix + folder, **more)
            rows += page.get("Contents", [])
            if not page.get("IsTruncated"):
                return rows
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def _ask(self, verb: str, **told: Any) -> Any:
        return _answered(getattr(self._client, verb), Bucket=self.name, **told)


def _answered(verb: Any, *words: Any, **told: Any) -> Any:
    from botocore.exceptions import (  # type: ignore[import-untyped]
        BotoCoreError,
        ClientError,
    )

    try:
        return verb(*words, **told)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING:
            raise KeyError(told.get("Key", "")) from None
        raise StoreAway(str(error)) from error
    except BotoCoreError as error:
        raise StoreAway(str(error)) from error


def _blob(sha: str) -> str:
    return f"blobs/{check_sha(sha)[:2]}/{sha}"


def _joined(found: dict[int, int]) -> dict[int, int]:
    """Return those pieces that follow one another from 0 on, by offset."""
    held: dict[int, int] = {}
    end = 0
    for offset in sorted(found):
        if offset == end:
            held[offset] = found[offset]
            end += found[offset]
    return held
