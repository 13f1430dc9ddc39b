"""Images for containers: podman fetches and keeps them, here each becomes a folder to run in.

A container runs in the same sandbox, under the same shim, as any other program; only its root is
another one. So nothing of podman's runs beside a job: no daemon or monitor can be left behind, and
limits, log, exit code and meters are those of the sandbox, not a second version of them.

`images/<digest>/` holds `root/`, the image's files, and `image.json`. It is private to the owner of
the pool: a program in it may carry a bit that would make others of this machine its owner.
"""

import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from intertie.engines.host.sandbox import IMAGE_FILES, IMAGE_FOLDERS
from intertie.engines.shim.laying import remove_tree
from intertie.engines.shim.procfs import write_new
from intertie.model.images import check_image

PULLS = ("never", "missing")
SHORT_S, LONG_S = 60, 3600
KEPT_S = 7 * 86_400


class ImageUnavailable(ValueError):
    """The image cannot be had here; the text says why, and what would help."""


@dataclass(frozen=True)
class Image:
    """An image that is ready to run in: its files, its digest, the environment that it sets."""

    root: Path
    digest: str
    environment: dict[str, str]


def find_podman() -> str:
    """Return the path of a podman that works here, or nothing: it is tried, not trusted."""
    path = shutil.which("podman") or ""
    try:
        return path if path and _podman(path, "images", "--quiet").returncode == 0 else ""
    except ImageUnavailable:
        return ""


class Images:
    """The images of one engine. Several engines may share the folder."""

    def __init__(self, podman: str, folder: Path, pull: str) -> None:
        self.podman = podman
        self.folder = folder
        self.pull = pull

    def prepare(self, name: str, in_use: Set[str]) -> Image:
        """Return an image ready to run in, fetched and unpacked if need be; this may take long.

        Images that nobody used for a week go, but for those `in_use`. Raises ImageUnavailable.
        """
        check_image(name)
        digest = name.rpartition("@")[2] if "@" in name else ""
        if not digest or not (self._place(digest) / "image.json").exists():
            found = self._inspect(name)
            digest = digest or str(found["Digest"])
            self._unpack(digest, found)
            self._drop_unused(in_use | {digest})
        place = self._place(digest)
        os.utime(place)
        told = json.loads((place / "image.json").read_text())
        return Image(place / "root", str(told["digest"]), told["environment"])

    def _place(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def _inspect(self, name: str) -> dict[str, object]:
        """Return what podman knows of an image that is here, or that it could fetch."""
        asked = ("image", "inspect", "--", name)
        told = _podman(self.podman, *asked)
        if told.returncode and self.pull == "never":
            raise ImageUnavailable(
                f"image: {name} is not on this machine, and its owner lets none be fetched "
                '(pull = "never"); it can be brought with `podman pull` or `podman load`'
            )
        if told.returncode:
            fetched = _podman(self.podman, "pull", "--quiet", "--", name, within_s=LONG_S)
            if fetched.returncode:
                raise ImageUnavailable(f"image: {name} could not be fetched: {_reason(fetched)}")
            told = _podman(self.podman, *asked)
        if told.returncode:
            raise ImageUnavailable(f"image: {name} could not be read: {_reason(told)}")
        found: dict[str, object] = json.loads(told.stdout)[0]
        return found

    def _unpack(self, digest: str, found: dict[str, object]) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = self._place(digest)
        with _alone(place.with_suffix(".lock")):
            if place.exists():
                return
            part = place.with_suffix(".part")
            remove_tree(part)
            (part / "root").mkdir(parents=True)
            self._export(str(found["Id"]), place.name, part)
            _make_places(part / "root")
            told = {"digest": found["Digest"], "environment": _environment(found)}
            write_new(part / "image.json", json.dumps(told))
            part.rename(place)

    def _export(self, image: str, name: str, part: Path) -> None:
        """Bring an image's files below `part`, by way of a container that never starts."""
        container, archive = f"intertie-{name[:32]}-{os.urandom(6).hex()}", part / "files.tar"
        try:
            for words in (
                ("create", "--pull=never", "--replace", "--name", container, image, "/bin/sh"),
                ("export", "--output", str(archive), container),
            ):
                done = _podman(self.podman, *words, within_s=LONG_S)
                if done.returncode:
                    raise ImageUnavailable(f"image: it cannot be unpacked: {_reason(done)}")
        finally:
            _podman(self.podman, "rm", "--force", "--ignore", container)
        tar = ["tar", "--extract", "--numeric-owner", "--exclude=./dev/*", "--exclude=dev/*"]
        done = _run([*tar, "--file", str(archive), "--directory", str(part / "root")], LONG_S)
        archive.unlink()
        if done.returncode:
            raise ImageUnavailable(f"image: it cannot be unpacked: {_reason(done)}")

    def _drop_unused(self, in_use: Set[str]) -> None:
        for place in self.folder.iterdir():
            is_old = time.time() - place.lstat().st_mtime > KEPT_S
            if is_old and not place.suffix and f"sha256:{place.name}" not in in_use:
                gone = place.with_suffix(".gone")
                place.rename(gone)
                remove_tree(gone)


def _make_places(root: Path) -> None:
    """Make what the sandbox lays its own over: real folders and files, whatever the image has."""
    if not any(os.path.lexists(root / place) for place in ("bin/sh", "usr/bin/sh")):
        raise ImageUnavailable("image: it has no /bin/sh, by which programs are started")
    for name in IMAGE_FOLDERS:
        if (root / name).is_symlink() or not (root / name).is_dir():
            (root / name).unlink(missing_ok=True)
            (root / name).mkdir()
    for name in IMAGE_FILES:
        place = root / name
        if place.is_dir() and not place.is_symlink():
            remove_tree(place)
        if place.is_symlink() or not place.is_file():
            place.unlink(missing_ok=True)
            place.touch(mode=0o644)


def _environment(found: dict[str, object]) -> dict[str, str]:
    config = found.get("Config")
    rows = config.get("Env") or [] if isinstance(config, dict) else []
    return dict(str(row).split("=", 1) for row in rows if "=" in str(row))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let no other engine unpack the same image meanwhile; the kernel lets go for who dies."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _podman(
    podman: str, *words: str, within_s: float = SHORT_S
) -> "subprocess.CompletedProcess[str]":
    return _run([podman, *words], within_s)


def _run(argv: list[str], within_s: float) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageUnavailable(f"image: {Path(argv[0]).name} does not answer: {error}") from error


def _reason(done: "subprocess.CompletedProcess[str]") -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1][:1000] if lines else f"it ended with {done.returncode}"
