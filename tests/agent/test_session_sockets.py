"""What an agent connects to for a session: the job's own socket, whatever the job lays there."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from intertie.agent.sessions import connect


@pytest.fixture(name="work")
def _work(tmp_path: Path) -> Path:
    """A working folder whose path is longer than the name of a socket may be."""
    work = tmp_path / ("a" * 60) / ("b" * 60) / "work"
    (work / ".intertie").mkdir(parents=True)
    return work


@pytest.fixture(name="elsewhere")
def _elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A socket of this machine that no job should reach."""
    with closing(_listening(tmp_path)):
        yield tmp_path / "session"


def test_it_connects_however_long_the_path_is(work: Path) -> None:
    with closing(_listening(work / ".intertie")) as program, closing(connect(work)) as line:
        line.sendall(b"hello")
        accepted, _ = program.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"


def test_a_link_in_place_of_the_socket_is_not_followed(work: Path, elsewhere: Path) -> None:
    (work / ".intertie" / "session").symlink_to(elsewhere)
    with pytest.raises(OSError, match="not a socket"):
        connect(work)


def test_a_link_in_place_of_the_folder_is_not_followed(work: Path, elsewhere: Path) -> None:
    (work / ".intertie").rmdir()
    (work / ".intertie").symlink_to(elsewhere.parent)
    with pytest.raises(NotADirectoryError):
        connect(work)


def test_a_file_is_not_a_socket(work: Path) -> None:
    (work / ".intertie" / "session").write_text("")
    with pytest.raises(PermissionError):
        connect(work)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file to somebody else")
def test_somebody_elses_socket_is_left_alone(work: Path) -> None:
    with closing(_listening(work / ".intertie")):
        os.chown(work / ".intertie" / "session", 65534, 65534)
        with pytest.raises(PermissionError):
            connect(work)


def _listening(folder: Path) -> socket.socket:
    """Return a listening socket named `session` in a folder."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    opened = os.open(folder, os.O_PATH)
    try:
        found.bind(f"/proc/self/fd/{opened}/session")
    finally:
        os.close(opened)
    found.listen()
    return found
