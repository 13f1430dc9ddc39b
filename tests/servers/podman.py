"""A real podman with images of its own, made without a registry: busybox and what it needs."""

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from intertie.engines.host.images import find_podman
from intertie.engines.host.sandbox import find_bubblewrap

MISSING = "no {} that works here (Debian: apt-get install podman bubblewrap busybox)"


class Podman:
    """Podman on a storage folder of its own, told to every podman that this process starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "storage.conf"
        rows = [f'graphroot = "{folder / "store"}"', f'runroot = "{folder / "run"}"']
        self.settings.write_text("\n".join(["[storage]", 'driver = "vfs"', *rows, ""]))

    def make(self, name: str, *changes: str, without: tuple[str, ...] = ()) -> str:
        """Make an image of busybox; return its name by digest. `changes` are lines of a recipe."""
        words = [word for change in changes for word in ("--change", change)]
        archive = _busybox(without)
        self.ask("import", *words, "-", f"localhost/{name}", given=archive)
        digest = self.ask("image", "inspect", "--format", "{{.Digest}}", f"localhost/{name}")
        return f"localhost/{name}@{digest}"

    def ask(self, *words: str, given: bytes = b"") -> str:
        """Return what a podman command prints."""
        done = subprocess.run(["podman", *words], input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """A podman with no images yet; skips where there is none."""
    with pytest.MonkeyPatch.context() as patch:
        made = Podman(tmp_path_factory.mktemp("podman"))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(made.settings))
        for what, found in (
            ("podman", find_podman()),
            ("bubblewrap", find_bubblewrap()),
            ("busybox", shutil.which("busybox")),
        ):
            if not found:
                pytest.skip(MISSING.format(what))
        yield made


def _busybox(without: tuple[str, ...]) -> bytes:
    """Return an archive of a root: busybox under every name that it knows, and its libraries."""
    place = shutil.which("busybox") or ""
    listed = subprocess.run([place, "--list"], capture_output=True, text=True, check=True)
    needed = subprocess.run(["ldd", place], capture_output=True, text=True, check=False)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        tar.add(os.path.realpath(place), "bin/busybox")
        for library in re.findall(r"(/\S+)", needed.stdout if needed.returncode == 0 else ""):
            tar.add(os.path.realpath(library), library.lstrip("/"))
        for name in set(listed.stdout.split()) - {"busybox", *without}:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        users = tarfile.TarInfo("etc/passwd")
        text = b"root:x:0:0::/root:/bin/sh\nimages-own:x:77:77::/:/bin/sh\n"
        users.size = len(text)
        tar.addfile(users, io.BytesIO(text))
    return file.getvalue()
