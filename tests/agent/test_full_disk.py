"""A disk that is full for a while: what was promised stays, and what cannot be written waits."""

import errno
import os
from pathlib import Path

import pytest

from intertie.agent.attempt import Attempt
from intertie.agent.book import Book
from intertie.agent.door import Door
from intertie.agent.journal import Journal
from intertie.agent.key import load_key
from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.engines.shim.status import Status
from tests.engines.hosting import a_body

FULL = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """Takes so many bytes at a time, as a disk does that is nearly full; then none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left_bytes = 1 << 30
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, file: int, data: bytes) -> int:
        if not self.left_bytes:
            raise FULL
        taken = self._write(file, data[: self.left_bytes])
        self.left_bytes -= taken
        return taken


def an_entry(lease: str) -> dict[str, object]:
    return {"kind": "forgotten", "lease": lease, "token": 1}


def test_an_entry_that_found_no_room_leaves_the_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, disk = Journal(tmp_path / "journal.jsonl"), Disk(monkeypatch)
    journal.append_many([an_entry("one")])
    disk.left_bytes = 10
    with pytest.raises(OSError, match="No space"):
        journal.append_many([an_entry("two")])
    disk.left_bytes = 1 << 30
    journal.append_many([an_entry("three")])
    assert [entry["lease"] for entry in journal.read()] == ["one", "three"]
    journal.close()


def test_an_attempt_that_cannot_start_for_a_full_disk_is_ended_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = HostEngine(HostSettings(tmp_path / "attempts", is_sandboxed=False, is_limited=False))
    book, door = Book(Journal(tmp_path / "journal.jsonl")), Door("http://x", load_key(tmp_path))
    record = book.take("lease-0001", 1, 0, a_body())

    def full(*_: object) -> None:
        raise FULL

    with monkeypatch.context() as disk:
        for name in ("extend", "stop"):
            disk.setattr(engine, name, full)
        steps = Attempt(record, book, engine, door, "agent-0001", lambda: 1).steps()
        assert [next(steps) > 0 for _ in range(3)] == [True] * 3
        assert record.ended is None
    assert list(steps) == []
    assert record.ended is not None
    assert record.ended.cause == "start_failed"
    engine.close()
    book.journal.close()
    door.client.close()


def test_a_status_that_found_no_room_is_whole_again_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = Status(str(tmp_path), "nobody")
    assert status.claim()

    def full(*_: object) -> None:
        raise FULL

    with monkeypatch.context() as disk:
        disk.setattr(os, "replace", full)
        assert not status.set(state="running", program=[7, 7])
    assert status.set(ran_ms=5)
    assert '"state": "running"' in (tmp_path / "status.json").read_text()
