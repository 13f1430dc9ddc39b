"""A working folder as one file: the same folder always gives the same bytes, hence one hash."""

import gzip
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path, PurePosixPath

from intertie.client.errors import SpecError, problem_of
from intertie.model.units import GIB, MIB
from intertie.wire.base import FieldError

SIZE_BYTES_MAX = 2 * GIB
IGNORE_FILE = ".intertieignore"
ALWAYS_IGNORED = (".git/", "__pycache__/", IGNORE_FILE)


@dataclass(frozen=True)
class Packed:
    """A folder packed into a file that goes away with the `pack` it came from."""

    path: Path
    sha256: str
    size_bytes: int


@contextmanager
def pack(folder: Path | None, beside: Mapping[str, bytes] | None = None) -> Iterator[Packed]:
    """Pack a folder into a tar.gz: sorted, without times, owners or what .intertieignore names.

    `beside` holds files that go into it too, by their paths. Raise SpecError when all that is more
    than 2 GiB, or for a link that leads out of the folder.
    """
    members = list(_members(folder)) if folder else []
    total_bytes = sum(path.lstat().st_size for _, path in members if path.is_file())
    total_bytes += sum(len(content) for content in (beside or {}).values())
    if total_bytes > SIZE_BYTES_MAX:
        raise _wrong(
            f"it holds {total_bytes / GIB:.2f} GiB and at most 2 GiB can be sent; "
            f"name what is not needed in {(folder or Path()) / IGNORE_FILE}"
        )
    with tempfile.NamedTemporaryFile(prefix="intertie-", suffix=".tar.gz") as file:
        # mtime=0 and no name: gzip would otherwise write both into its header.
        with (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packer,
            tarfile.open(fileobj=packer, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name, path in members:
                try:
                    _add(tar, name, path)
                except OSError as error:
                    raise _wrong(f"{path} cannot be read: {error.strerror}") from None
            for name, content in sorted((beside or {}).items()):
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(content), 0o644
                tar.addfile(info, BytesIO(content))
        file.flush()
        path = Path(file.name)
        yield Packed(path, hash_of(path), path.stat().st_size)


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(MIB):
            digest.update(chunk)
    return digest.hexdigest()


def is_ignored(name: str, is_folder: bool, patterns: list[str]) -> bool:
    """Return whether a path below the folder is left out; the last pattern that fits decides.

    Patterns are those of .gitignore: ``*``, ``**``, ``?``, ``/`` to anchor, a trailing ``/`` for
    folders only, ``!`` to take back, ``#`` for remarks.
    """
    ignored = False
    for pattern in patterns:
        rule = pattern.removeprefix("!")
        if rule.endswith("/") and not is_folder:
            continue
        if _as_regex(rule).fullmatch(name):
            ignored = not pattern.startswith("!")
    return ignored


def _members(folder: Path) -> Iterator[tuple[str, Path]]:
    patterns = [*ALWAYS_IGNORED, *_patterns(folder)]
    for place, folders, files in os.walk(folder):
        inside = PurePosixPath(Path(place).relative_to(folder).as_posix())
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        kept = [n for n in folders if n not in links and not _skip(inside, n, True, patterns)]
        folders[:] = sorted(kept)
        leaves = [n for n in files + links if not _skip(inside, n, False, patterns)]
        for name in sorted([*folders, *leaves]):
            yield str(inside / name), Path(place) / name


def _skip(inside: PurePosixPath, name: str, is_folder: bool, patterns: list[str]) -> bool:
    return is_ignored(str(inside / name), is_folder, patterns)


def _patterns(folder: Path) -> list[str]:
    path = folder / IGNORE_FILE
    if not path.is_file():
        return []
    lines = (line.rstrip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _as_regex(rule: str) -> re.Pattern[str]:
    body = rule.strip("/")
    anchored = "/" in rule.rstrip("/")
    parts = re.split(r"(/\*\*/|\*\*/|/\*\*|\*\*|\*|\?)", body)
    spoken = {
        "/**/": "/(?:.*/)?",
        "**/": "(?:.*/)?",
        "/**": "/.*",
        "**": ".*",
        "*": "[^/]*",
        "?": "[^/]",
    }
    middle = "".join(spoken.get(part, re.escape(part)) for part in parts)
    return re.compile(middle if anchored else f"(?:.*/)?{middle}")


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    mode = path.lstat().st_mode
    info = tarfile.TarInfo(name)
    info.mode = 0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644
    if stat.S_ISLNK(mode):
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, _target(name, path), 0o777
        tar.addfile(info)
    elif stat.S_ISDIR(mode):
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
    elif stat.S_ISREG(mode):
        with path.open("rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            tar.addfile(info, file)


def _target(name: str, path: Path) -> str:
    target = str(path.readlink())
    landing = os.path.normpath(PurePosixPath(name).parent / target)
    if PurePosixPath(target).is_absolute() or landing.startswith(".."):
        raise _wrong(f"the link {name} leads out of the folder, to {target}; copy the file instead")
    return target


def _wrong(message: str) -> SpecError:
    errors = [FieldError(field="workdir", message=message)]
    return SpecError(
        problem_of("bad_spec", "The working folder cannot be sent", errors=errors, status=422)
    )
