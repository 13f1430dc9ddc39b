"""The conformance kit: a pytest class that says whether an engine keeps the protocol.

Whoever writes an engine subclasses `EngineConformance` in a test file, names the engine (its entry
point) and says with which settings it opens::

    class TestMine(EngineConformance):
        engine_name = "mine"

        @pytest.fixture
        def engine_settings(self, tmp_path):
            return EngineSettings(tmp_path / "pool", table={"url": "http://127.0.0.1:9999"})

Programs in it are `sh` with what busybox has too. It needs pytest, so no agent imports it.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar
from uuid import uuid4

import psutil
import pytest

from intertie.engines.probe import EngineProbe, pause
from intertie.engines.protocol import Engine
from intertie.engines.registry import EngineSettings, find
from intertie.model.units import GIB, MIB

Opener = Callable[[], Engine]
Test = TypeVar("Test", bound=Callable[..., None])

ODD = "héllo  'wörld' \"算联\" $HOME `id` $(id) ; | & * \\n \\\n\ttwo lines\n%s"
ODD_NAME = "a 'b' \"c\" $d `e` 算联\nf;*"
GRACEFUL = "trap 'echo progress > saved; exit 0' TERM; : > up; while :; do sleep 0.1; done"
STUBBORN = "trap '' TERM; : > up; while :; do sleep 1; done"
PATTERN = b"0123456789abcde\n"
LONG_MS = 300_000


def needs_a_program(test: Test) -> Test:
    """Mark a test that only an engine that really runs programs can pass."""
    test.needs_a_program = True  # type: ignore[attr-defined]
    return test


class EngineConformance(EngineProbe):
    """What every engine keeps. Subclass it, and override `engine_settings` or `open_engine`."""

    engine_name = ""
    # False leaves out the tests that look at what a program did.
    runs_programs = True
    # False where the site tells nothing of the processor time that was used.
    has_cpu_meter = True
    # How far `ran_ms` may be from the truth, in milliseconds: some sites count whole seconds.
    ROUNDING_MS = 1100
    # How many starts come together in a test; fewer where each takes seconds of a core.
    STARTS_TOGETHER = 8
    BIG_LOG_BYTES = 10_000_000
    BIG_RESULT_BYTES = 64 * MIB

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.runs_programs:
            for name in dir(cls):
                if hasattr(getattr(cls, name), "needs_a_program"):
                    setattr(cls, name, None)  # pytest collects no test that is no function

    @pytest.fixture
    def engine_settings(self, tmp_path: Path) -> EngineSettings:
        """Return what the engine opens with: a folder of its own for each test."""
        return EngineSettings(tmp_path / "pool")

    @pytest.fixture
    def open_engine(self, engine_settings: EngineSettings) -> Opener:
        """Return what opens one more engine on the same folder, as an agent that starts again."""
        return partial(find(self.engine_name), engine_settings)

    @pytest.fixture
    def engine(self, open_engine: Opener) -> Iterator[Engine]:
        """An engine; what its test started is gone afterwards, whoever started it."""
        engine = open_engine()
        yield engine
        engine.close()
        last = open_engine()
        self.clean(last)
        last.close()

    @pytest.fixture
    def lease(self) -> str:
        """A lease that no other test has: a site's own names may outlive a test."""
        return f"lease-{uuid4().hex[:12]}"

    # What an engine says of itself.

    def test_it_has_a_node_and_says_what_it_enforces_and_what_not(self, engine: Engine) -> None:
        facts = engine.facts()
        names = [node.name for node in facts.nodes]
        assert names
        assert len(set(names)) == len(names)
        assert not set(facts.abilities) & set(facts.not_enforced)
        for node in facts.nodes:
            assert min(node.cpus_milli, node.memory_bytes, node.machine_count) > 0
            assert bool(node.device_class) == (node.device_count > 0)
        assert set(engine.waits()) <= set(names)
        room = engine.room()
        assert room is None or min(room.cpus_milli, room.memory_bytes, room.device_count) >= 0

    def test_a_wait_that_is_woken_returns(self, engine: Engine) -> None:
        waiting = Thread(target=engine.wait, args=(10 * self.WITHIN_S,), daemon=True)
        waiting.start()

        def is_back() -> bool:
            engine.wake()
            waiting.join(0.05)
            return not waiting.is_alive()

        self.until(engine, is_back, "wait to return", pause=lambda: None)

    # Starts.

    def test_a_start_that_is_repeated_starts_once(
        self, engine: Engine, open_engine: Opener, lease: str
    ) -> None:
        body = self.a_body("echo started >> count; sleep 1", lasts_ms=1000)
        starts = [Thread(target=engine.start, args=(lease, 1, body)) for _ in range(4)]
        for thread in starts:
            thread.start()
        for thread in starts:
            thread.join()
        engine.start(lease, 1, body)
        later = open_engine()
        later.start(lease, 1, body)
        self.until_over(engine, lease)
        engine.start(lease, 1, body)
        later.start(lease, 1, body)
        assert [(seen.token, seen.state) for seen in later.observe()] == [(1, "over")]
        later.close()
        if self.runs_programs:
            assert (self.work(engine, lease) / "count").read_text() == "started\n"

    def test_starts_that_come_together_are_all_begun_and_all_end(
        self, engine: Engine, lease: str
    ) -> None:
        tokens = range(self.STARTS_TOGETHER)
        for token in tokens:
            body = self.a_body(f"exit {token}", exit_code=token, lasts_ms=100)
            engine.start(lease, token, body)
        ends = [self.until_over(engine, lease, token).exit_code for token in tokens]
        assert ends == list(tokens)

    @needs_a_program
    def test_inputs_that_were_laid_in_before_the_start_are_there(
        self, engine: Engine, lease: str
    ) -> None:
        inputs = self.work(engine, lease) / "in" / ODD_NAME
        inputs.parent.mkdir(parents=True)
        inputs.write_text(ODD)
        (inputs.parent / "tool").write_text("#!/bin/sh\ncat in/a*\n")
        (inputs.parent / "tool").chmod(0o755)
        assert self.run(engine, lease, self.a_body("in/tool > out; pwd > where")).exit_code == 0
        assert self.read(engine, lease, "out") == ODD.encode()

    @needs_a_program
    def test_odd_arguments_variables_names_and_paths_arrive_byte_for_byte(
        self, engine: Engine, lease: str
    ) -> None:
        code = 'printf %s "$1" > "$2"; printf %s "$ODD" > variable; printf %s "$1$ODD"'
        command = ["sh", "-c", code, "sh", ODD, ODD_NAME]
        told: dict[str, Any] = {
            "command": command,
            "environment": {"ODD": ODD},
            "name": ODD,
            "project": ODD,
        }
        assert self.run(engine, lease, self.a_body(**told)).exit_code == 0
        assert self.read(engine, lease, ODD_NAME) == ODD.encode()
        assert self.read(engine, lease, "variable") == ODD.encode()
        assert self.log(engine, lease) == 2 * ODD.encode()

    @needs_a_program
    def test_a_script_runs_by_the_shell_or_by_what_it_names(
        self, engine: Engine, lease: str
    ) -> None:
        script = f"cat <<'END'\n{ODD}\nEND\nexit 4\n"
        for token, text in enumerate((script, f"#!/bin/sh -e\n{script}")):
            told = self.run(engine, lease, self.a_body(command=[], script=text), token)
            assert (told.cause, told.exit_code) == ("exited", 4)
            assert self.log(engine, lease, token) == f"{ODD}\n".encode()

    def test_a_gang_begins_as_a_whole_where_that_is_claimed(
        self, engine: Engine, lease: str
    ) -> None:
        if "gangs" not in engine.facts().abilities:
            return
        gang = {"id": f"{lease}-gang", "size": 2}
        bodies = [
            self.a_body("sleep 300", lasts_ms=LONG_MS, gang=gang, task_index=index)
            for index in range(2)
        ]
        engine.start(lease, 1, bodies[0])
        engine.start(lease, 1, bodies[0])
        assert self.run(engine, lease, self.a_body("exit 0"), 3).exit_code == 0
        if engine.room() is not None:  # others use the pool: the other half may have to wait
            seen = self.see(engine, lease, 1)
            assert seen is not None
            assert seen.state == "pending"
        engine.start(lease, 2, bodies[1])
        for token in (1, 2):
            self.until_state(engine, lease, "running", token)
        for token in (1, 2):
            engine.stop(lease, token, "cancelled", 0)
        for token in (1, 2):
            assert self.until_over(engine, lease, token).cause == "cancelled"

    # Ends.

    @pytest.mark.parametrize("exit_code", [0, 1, 77])
    def test_an_exit_code_comes_back(self, engine: Engine, lease: str, exit_code: int) -> None:
        body = self.a_body(f"exit {exit_code}", exit_code=exit_code)
        seen = self.run(engine, lease, body)
        assert (seen.cause, seen.exit_code, seen.signal) == ("exited", exit_code, None)
        assert seen.started_at > 0

    @needs_a_program
    def test_a_signal_comes_back(self, engine: Engine, lease: str) -> None:
        seen = self.run(engine, lease, self.a_body("kill -s SEGV $$"))
        assert (seen.cause, seen.exit_code, seen.signal) == ("signalled", None, signal.SIGSEGV)

    @needs_a_program
    def test_a_program_that_is_not_there_is_named(self, engine: Engine, lease: str) -> None:
        seen = self.run(engine, lease, self.a_body(command=["no-such-program"]))
        assert seen.cause in ("exited", "start_failed")
        assert seen.exit_code != 0
        assert b"no-such-program" in self.log(engine, lease) + seen.detail.encode()

    def test_the_time_limit_ends_it(self, engine: Engine, lease: str) -> None:
        body = self.a_body("sleep 300", lasts_ms=LONG_MS, time_limit_s=1)
        seen = self.run(engine, lease, body)
        assert (seen.cause, seen.exit_code) == ("timed_out", None)
        assert seen.ran_ms >= 1000 - self.ROUNDING_MS

    def test_the_end_of_its_lease_ends_it_before_and_after_its_start(
        self, engine: Engine, lease: str
    ) -> None:
        body = self.a_body("sleep 300", lasts_ms=LONG_MS)
        engine.extend(lease, 1, 1)
        assert self.run(engine, lease, body, 1).cause == "expired"
        engine.extend(lease, 2, LONG_MS)
        engine.start(lease, 2, body)
        self.until_state(engine, lease, "running", 2)
        engine.extend(lease, 2, 300)
        assert self.until_over(engine, lease, 2).cause == "expired"

    def test_only_what_may_move_ends_with_a_silent_session(
        self, engine: Engine, lease: str
    ) -> None:
        engine.renew(LONG_MS)
        for token, choice in ((1, "keep"), (2, "move")):
            body = self.a_body("sleep 300", lasts_ms=LONG_MS, on_partition=choice)
            engine.start(lease, token, body)
        for token in (1, 2):
            self.until_state(engine, lease, "running", token)
        engine.renew(300)
        assert self.until_over(engine, lease, 2).cause == "lost"
        engine.stop(lease, 1, "cancelled", 0)
        assert self.until_over(engine, lease, 1).cause == "cancelled"

    @needs_a_program
    def test_too_much_memory_ends_it_where_that_is_claimed(
        self, engine: Engine, lease: str
    ) -> None:
        if "memory_limit" not in engine.facts().abilities:
            assert "memory_limit" in engine.facts().not_enforced
            return
        take = "x=$(head -c 300000000 /dev/zero | tr '\\0' x); echo ${#x}"
        seen = self.run(engine, lease, self.a_body(take, memory_bytes=64 * MIB))
        assert seen.cause == "out_of_memory"

    # Stops.

    def test_stopping_what_is_unknown_or_over_changes_nothing(
        self, engine: Engine, lease: str
    ) -> None:
        engine.stop(lease, 9, "cancelled", 1)
        assert engine.observe() == []
        over = self.run(engine, lease, self.a_body("exit 0"))
        engine.stop(lease, 1, "cancelled", 1)
        engine.stop(lease, 9, "cancelled", 1)
        assert (self.see(engine, lease), self.see(engine, lease, 9)) == (over, None)

    def test_what_was_stopped_before_its_start_never_starts(
        self, engine: Engine, lease: str
    ) -> None:
        body = self.a_body(": > up", lasts_ms=100)
        engine.extend(lease, 1, LONG_MS)
        engine.stop(lease, 1, "cancelled", 0)
        engine.start(lease, 1, body)
        assert self.run(engine, lease, body, token=2).cause == "exited"
        seen = self.see(engine, lease, 1)
        assert seen is None or (seen.state, seen.cause) == ("over", "cancelled")
        assert not (self.work(engine, lease) / "up").exists()

    def test_a_stop_right_after_the_start_ends_it_with_the_stops_cause(
        self, engine: Engine, lease: str
    ) -> None:
        engine.start(lease, 1, self.a_body("sleep 300", lasts_ms=LONG_MS))
        engine.stop(lease, 1, "no_funds", 0)
        assert self.until_over(engine, lease).cause == "no_funds"

    def test_the_first_stops_cause_is_kept(self, engine: Engine, lease: str) -> None:
        engine.start(lease, 1, self.a_body("sleep 300", lasts_ms=LONG_MS))
        self.until_state(engine, lease, "running")
        engine.stop(lease, 1, "reclaimed", 0)
        self.until_over(engine, lease)
        engine.stop(lease, 1, "cancelled", 0)
        seen = self.until_over(engine, lease)
        assert (seen.cause, seen.exit_code) == ("reclaimed", None)

    @needs_a_program
    def test_a_stop_gives_time_to_save(self, engine: Engine, lease: str) -> None:
        engine.start(lease, 1, self.a_body(GRACEFUL))
        self.until_up(engine, lease)
        engine.stop(lease, 1, "reclaimed", int(self.WITHIN_S))
        seen = self.until_over(engine, lease)
        assert (seen.cause, seen.exit_code) == ("reclaimed", 0)
        assert self.read(engine, lease, "saved") == b"progress\n"

    @needs_a_program
    def test_what_ignores_a_stop_is_killed_after_the_grace(
        self, engine: Engine, lease: str
    ) -> None:
        engine.start(lease, 1, self.a_body(STUBBORN))
        self.until_up(engine, lease)
        engine.stop(lease, 1, "cancelled", 1)
        seen = self.until_over(engine, lease)
        assert (seen.cause, seen.exit_code) == ("cancelled", None)

    # An agent that starts again.

    def test_a_later_engine_finds_every_attempt_and_its_end(
        self, engine: Engine, open_engine: Opener, lease: str
    ) -> None:
        before = self.run(engine, lease, self.a_body("exit 5", exit_code=5), 1)
        engine.start(lease, 2, self.a_body("sleep 2; exit 6", exit_code=6, lasts_ms=2000))
        engine.start(lease, 3, self.a_body("sleep 300", lasts_ms=LONG_MS))
        self.until_state(engine, lease, "running", 3)
        engine.close()
        later = open_engine()
        assert {seen.token for seen in later.observe()} == {1, 2, 3}
        assert self.see(later, lease, 1) == before
        assert self.until_over(later, lease, 2).exit_code == 6
        later.stop(lease, 3, "cancelled", 0)
        assert self.until_over(later, lease, 3).cause == "cancelled"
        later.close()

    @needs_a_program
    def test_what_ended_while_no_engine_was_there_is_found(
        self, engine: Engine, open_engine: Opener, lease: str
    ) -> None:
        engine.start(lease, 1, self.a_body("sleep 1; printf last; : > done; exit 7"))
        work = self.work(engine, lease)
        engine.close()
        self.until(engine, (work / "done").exists, "the program's end", pause=pause)
        later = open_engine()
        seen = self.until_over(later, lease)
        assert (seen.cause, seen.exit_code) == ("exited", 7)
        assert self.log(later, lease) == b"last"
        later.close()

    # Logs, results, meters.

    @needs_a_program
    def test_the_log_is_whole_to_its_last_byte_whatever_the_bytes(
        self, engine: Engine, lease: str
    ) -> None:
        code = r"printf 'out\000\377\001\r\n'; sleep 0.3; printf 'error\033' >&2; printf end"
        assert self.run(engine, lease, self.a_body(code)).exit_code == 0
        assert self.log(engine, lease) == b"out\x00\xff\x01\r\nerror\x1bend"

    @needs_a_program
    def test_a_big_log_and_a_big_result_pass_with_flat_memory(
        self, engine: Engine, lease: str
    ) -> None:
        text = PATTERN.decode().strip()
        log = f"yes {text} | head -c {self.BIG_LOG_BYTES}"
        result = f"yes {text} | head -c {self.BIG_RESULT_BYTES} > result"
        body = self.a_body(
            f"{log}; {result}; printf end",
            results=["result"],
            memory_bytes=256 * MIB,
            disk_bytes=2 * self.BIG_RESULT_BYTES + GIB,
        )
        most_bytes = _rss_bytes() + 48 * MIB
        engine.start(lease, 1, body)
        while (seen := self.until_change(engine, lease)).state != "over":
            assert _rss_bytes() < most_bytes
        assert (seen.cause, seen.exit_code) == ("exited", 0), seen
        assert _pattern_bytes(engine.folder(lease, 1) / "log") == (self.BIG_LOG_BYTES, b"end")
        told = _pattern_bytes(self.work(engine, lease) / "result")
        assert told == (self.BIG_RESULT_BYTES, b"")
        assert _rss_bytes() < most_bytes

    def test_meters_only_grow_and_the_time_is_about_right(self, engine: Engine, lease: str) -> None:
        count = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 2"
        begun = time.monotonic()
        engine.start(lease, 1, self.a_body(count, lasts_ms=2000))
        looks = [self.until_change(engine, lease)]
        while looks[-1].state != "over":
            looks.append(self.until_change(engine, lease))
        elapsed_ms = (time.monotonic() - begun) * 1000
        for before, after in pairwise(looks):
            assert after.ran_ms >= before.ran_ms
            assert after.cpu_ms >= before.cpu_ms
            assert after.memory_peak_bytes >= before.memory_peak_bytes
        assert 2000 - self.ROUNDING_MS <= looks[-1].ran_ms <= elapsed_ms + self.ROUNDING_MS
        assert looks[-1].cpu_ms > 0 or not self.has_cpu_meter

    # The end of it.

    def test_what_is_over_is_forgotten_with_its_folder_and_what_runs_is_left_alone(
        self, engine: Engine, open_engine: Opener, lease: str
    ) -> None:
        engine.start(lease, 1, self.a_body("sleep 300", lasts_ms=LONG_MS))
        self.until_state(engine, lease, "running", 1)
        self.run(engine, lease, self.a_body("mkdir -p shut/in; chmod 000 shut", lasts_ms=1), 2)
        for token in (1, 2, 1, 2):
            engine.forget(lease, token)
        later = open_engine()
        for each in (engine, later):
            assert [seen.token for seen in each.observe()] == [1]
        later.close()
        assert not engine.folder(lease, 2).exists()
        engine.stop(lease, 1, "cancelled", 0)
        assert self.until_over(engine, lease, 1).cause == "cancelled"


def _rss_bytes() -> int:
    """Return the memory that this process, the agent here, has now."""
    return int(psutil.Process(os.getpid()).memory_info().rss)


def _pattern_bytes(path: Path) -> tuple[int, bytes]:
    """Return how many bytes of a file repeat the pattern, and what comes after them."""
    block = PATTERN * 65536
    total = 0
    with path.open("rb") as file:
        while (data := file.read(len(block))) and block.startswith(data):
            total += len(data)
        if not data:
            return total, b""
        same = next((at for at, byte in enumerate(data) if byte != block[at]), len(data))
        return total + same, data[same:] + file.read(1000)
