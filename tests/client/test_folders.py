"""Packing a working folder: the same bytes each time, and nothing that was not meant."""

import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.client import SpecError, folders
from intertie.client.folders import is_ignored, pack


def a_folder(at: Path, **files: str) -> Path:
    for name, text in files.items():
        path = at / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return at


def names(folder: Path) -> list[str]:
    with pack(folder) as packed, tarfile.open(packed.path) as tar:
        return tar.getnames()


def test_the_same_folder_gives_the_same_hash_whenever_it_was_written(tmp_path: Path) -> None:
    one = a_folder(tmp_path / "one", a="1", sub__b="2")
    two = a_folder(tmp_path / "two", sub__b="2", a="1")
    os.utime(two / "a", (1, 1))
    (two / "a").chmod(0o600)
    with pack(one) as first, pack(two) as second:
        assert first.sha256 == second.sha256
        assert first.path.read_bytes() == second.path.read_bytes()


def test_a_changed_byte_gives_another_hash(tmp_path: Path) -> None:
    with pack(a_folder(tmp_path / "one", a="1")) as first:
        pass
    with pack(a_folder(tmp_path / "two", a="2")) as second:
        assert first.sha256 != second.sha256


def test_no_owner_time_or_odd_mode_is_packed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, run="x")
    (folder / "run").chmod(0o4750)
    with pack(folder) as packed, tarfile.open(packed.path) as tar:
        info = tar.getmember("run")
    assert (info.uid, info.gid, info.mtime, info.uname, info.mode) == (0, 0, 0, "", 0o755)


def test_the_packed_file_goes_away(tmp_path: Path) -> None:
    with pack(a_folder(tmp_path, a="1")) as packed:
        assert packed.size_bytes == packed.path.stat().st_size
    assert not packed.path.exists()


def test_what_the_ignore_file_names_is_left_out(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, keep="1", data__big="2", log="3", sub__log="4", sub__keep="5")
    (folder / ".intertieignore").write_text("# remarks\n/data/\nlog\n!sub/log\n")
    assert names(folder) == ["keep", "sub", "sub/keep", "sub/log"]


def test_git_and_caches_are_never_packed(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, a="1", __git__x="2")
    (folder / ".git").mkdir()
    (folder / "sub" / "__pycache__").mkdir(parents=True)
    assert ".git" not in names(folder)
    assert "sub/__pycache__" not in names(folder)


@pytest.mark.parametrize(
    ("pattern", "name", "is_folder", "left_out"),
    [
        ("*.log", "a/b.log", False, True),
        ("*.log", "a/b.log.txt", False, False),
        ("/a", "a", False, True),
        ("/a", "b/a", False, False),
        ("build/", "x/build", True, True),
        ("build/", "x/build", False, False),
        ("a/**/z", "a/z", False, True),
        ("a/**/z", "a/b/c/z", False, True),
        ("**/z", "b/z", False, True),
        ("a/*", "a/b", False, True),
        ("a?c", "abc", False, True),
        ("a.c", "abc", False, False),
    ],
)
def test_patterns_mean_what_gitignore_means(
    pattern: str, name: str, is_folder: bool, left_out: bool
) -> None:
    assert is_ignored(name, is_folder, [pattern]) is left_out


@given(st.text(max_size=12), st.text(alphabet="ab/.*", min_size=1, max_size=12))
def test_no_pattern_breaks_the_packing(name: str, pattern: str) -> None:
    assert is_ignored(name, False, [pattern]) in (True, False)


def test_a_folder_that_is_too_large_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "SIZE_BYTES_MAX", 10)
    with pytest.raises(SpecError, match=r"holds 0\.00 GiB and at most 2 GiB"):
        names(a_folder(tmp_path, big="x" * 11))


def test_a_link_that_leads_out_is_refused_by_name(tmp_path: Path) -> None:
    folder = a_folder(tmp_path / "job", a="1")
    (folder / "out").symlink_to("../../secret")
    with pytest.raises(SpecError, match="the link out leads out of the folder"):
        names(folder)


def test_a_link_inside_stays_a_link(tmp_path: Path) -> None:
    folder = a_folder(tmp_path, sub__a="1")
    (folder / "sub" / "link").symlink_to("a")
    (folder / "to_sub").symlink_to("sub")
    with pack(folder) as packed, tarfile.open(packed.path) as tar:
        assert tar.getmember("sub/link").linkname == "a"
        assert tar.getmember("to_sub").issym()
