"""What a job starts from: its working folder and the checkpoint it resumes, laid in safely.

An archive comes from a stranger and is unpacked by whoever runs the agent, often root: nothing
may leave the folder, by name or by link, and nothing but files, folders and links is made.
"""

import shutil
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from intertie.wire.sync import LeaseBody


class Blobs(Protocol):
    """Where content is fetched from."""

    def get_blob(self, sha256: str, token: str, file: IO[bytes], bytes_max: int) -> None:
        """Write one blob to a file; ValueError if it is not what its name says."""


class BadInput(Exception):
    """The attempt cannot start from what it was given; the text says why."""


def lay_in(blobs: Blobs, body: LeaseBody, folder: Path) -> None:
    """Make `work/` in an attempt's folder with the job's files and its checkpoint."""
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)  # what an earlier, killed agent began
    work.mkdir(parents=True)
    try:
        if body.workdir:
            _lay_workdir(blobs, body, folder)
        for saved in body.resume:
            target = _inside(work, saved.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            with target.open("wb") as file:
                blobs.get_blob(saved.sha256, body.attempt_token, file, body.disk_bytes)
    except (ValueError, tarfile.TarError, EOFError, OSError) as error:
        raise BadInput(f"the inputs could not be laid in: {error}") from error


def unpack(archive: Path, work: Path, bytes_max: int) -> None:
    """Unpack a tar file, compressed or not; ValueError names the member that may not be."""
    left_bytes = bytes_max
    with tarfile.open(archive, "r:*") as tar:
        for member in tar:
            target = _inside(work, member.name)
            left_bytes -= member.size
            if left_bytes < 0:
                raise ValueError(f"the working folder is larger than the disk asked: {bytes_max}")
            _make(tar, member, work, target)


def _lay_workdir(blobs: Blobs, body: LeaseBody, folder: Path) -> None:
    archive = folder / "workdir.tar"
    try:
        with archive.open("wb") as file:
            blobs.get_blob(body.workdir, body.attempt_token, file, body.disk_bytes)
        unpack(archive, folder / "work", body.disk_bytes)
    finally:
        archive.unlink(missing_ok=True)


def _make(tar: tarfile.TarFile, member: tarfile.TarInfo, work: Path, target: Path) -> None:
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if member.issym():
        _check_link(work, target, member.linkname)
        target.symlink_to(member.linkname)
        return
    content = tar.extractfile(member) if member.isreg() or member.islnk() else None
    if content is None:
        raise ValueError(f"{member.name!r} is neither file, folder nor link")
    with target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _inside(work: Path, name: str) -> Path:
    """Return where a member goes; it stays inside, through links made before it too."""
    root, path = work.resolve(), PurePosixPath(name)
    target = root / path
    is_out = path.is_absolute() or ".." in path.parts
    if is_out or not target.parent.resolve().is_relative_to(root):
        raise ValueError(f"{name!r} leaves the working folder")
    return target


def _check_link(work: Path, target: Path, link: str) -> None:
    """Refuse a link that leads out. Writers check again: a link may come to lead out later."""
    if not (target.parent / link).resolve().is_relative_to(work.resolve()):
        raise ValueError(f"the link to {link!r} leaves the working folder")
