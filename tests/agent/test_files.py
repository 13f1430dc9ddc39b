"""What goes in and what comes out of a working folder, against strangers' archives and jobs."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from intertie.agent.inputs import unpack
from intertie.agent.outputs import digest, find, open_inside


def an_archive(path: Path, *members: tarfile.TarInfo, content: bytes = b"evil") -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return path


def a_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, link, 0o4777
    return member


@pytest.mark.parametrize(
    "members",
    [
        [a_member("/etc/evil")],
        [a_member("../evil")],
        [a_member("a/../../evil")],
        [a_member("out", tarfile.SYMTYPE, "/etc")],
        [a_member("out", tarfile.SYMTYPE, "../outside")],
        [a_member("in", tarfile.DIRTYPE), a_member("in/out", tarfile.SYMTYPE, "../../outside")],
        [a_member("hard", tarfile.LNKTYPE, "../../etc/passwd")],
        [a_member("device", tarfile.CHRTYPE)],
        [a_member("pipe", tarfile.FIFOTYPE)],
    ],
)
def test_an_archive_that_leaves_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    work = tmp_path / "a" / "work"
    work.mkdir(parents=True)
    archive = an_archive(tmp_path / "x.tar", *members)
    with pytest.raises((ValueError, KeyError, tarfile.TarError)):
        unpack(archive, work, 1000)
    assert not (tmp_path / "a" / "evil").exists()


def test_links_cannot_be_bent_after_they_were_checked(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    deep = a_member("deep/er", tarfile.DIRTYPE)
    bent = [
        a_member("p/l", tarfile.SYMTYPE, "x/../.."),
        a_member("p/x", tarfile.SYMTYPE, "../deep/er"),
    ]
    archive = an_archive(
        tmp_path / "x.tar", deep, *bent, a_member("p/l/../../evil"), a_member("p/l/evil")
    )
    with pytest.raises(ValueError, match="leaves"):
        unpack(archive, work, 1000)
    assert not (tmp_path / "evil").exists()


def test_a_good_archive_is_whole_and_plain(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    members = [a_member("bin/run"), a_member("bin/same", tarfile.SYMTYPE, "run")]
    archive = an_archive(tmp_path / "x.tar", *members, a_member("copy", tarfile.LNKTYPE, "bin/run"))
    unpack(archive, work, 1000)
    assert (work / "bin" / "same").read_bytes() == (work / "copy").read_bytes() == b"evil"
    assert (work / "bin" / "run").stat().st_mode & 0o7777 == 0o755


def test_an_archive_larger_than_the_disk_asked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    archive = an_archive(tmp_path / "x.tar", a_member("big"), content=b"x" * 2000)
    with pytest.raises(ValueError, match="larger"):
        unpack(archive, tmp_path / "work", 1000)


def paths(work: Path, *patterns: str) -> list[str]:
    return [found.path for found in find(work, list(patterns), 1 << 20)]


def test_patterns_choose_files_below_the_working_folder(tmp_path: Path) -> None:
    for name in ("a.txt", "out/b.txt", "out/deep/c.txt", "out/deep/d.bin"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert paths(tmp_path, "*.txt") == ["a.txt"]
    assert paths(tmp_path, "**/*.txt") == ["a.txt", "out/b.txt", "out/deep/c.txt"]
    assert paths(tmp_path, "out") == ["out/b.txt", "out/deep/c.txt", "out/deep/d.bin"]
    assert paths(tmp_path, "out/**") == paths(tmp_path, "out/") == paths(tmp_path, "out")
    assert paths(tmp_path, "out/*/[cd].*", "a.?xt") == ["a.txt", "out/deep/c.txt", "out/deep/d.bin"]
    assert paths(tmp_path, "missing", "(") == []


def test_links_and_pipes_are_never_read(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    work = tmp_path / "work"
    work.mkdir()
    (work / "folder").symlink_to(outside)
    (work / "file").symlink_to(outside / "secret")
    os.mkfifo(work / "pipe")
    assert paths(work, "**") == []
    for path in ("folder/secret", "file", "pipe"):
        with pytest.raises(OSError, match=path.partition("/")[0]):
            open_inside(work, path)


def test_a_digest_is_of_what_was_copied(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    copy = io.BytesIO()
    with open_inside(tmp_path, "x") as file:
        sha256, size = digest(file, copy)
    assert (sha256[:8], size, copy.getvalue()) == ("ba7816bf", 3, b"abc")
