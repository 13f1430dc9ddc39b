"""The conformance kit finds what is wrong: engines that are broken in one way each fail it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.conformance import EngineConformance
from intertie.engines.fake.engine import FakeEngine, FakeSettings
from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.engines.protocol import Engine, EngineFacts, Observed, Room
from intertie.model.parties import NodeFacts
from intertie.wire.sync import LeaseBody

Kind = type[FakeEngine] | type[HostEngine]


class Kit(EngineConformance):
    WITHIN_S = 3.0
    BIG_LOG_BYTES = 100_000
    BIG_RESULT_BYTES = 100_000


class Amnesia(FakeEngine):
    """Knows nothing of what an earlier engine started."""

    def __init__(self, settings: FakeSettings) -> None:
        shutil.rmtree(settings.folder, ignore_errors=True)
        super().__init__(settings)


class Overeager(FakeEngine):
    """Starts again what was started."""

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        self._attempts.pop((lease, token), None)
        super().start(lease, token, body)


class Endless(FakeEngine):
    """Never ends a lease."""

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        super().extend(lease, token, 2**40)


class Loner(FakeEngine):
    """Does not care that its network is silent."""

    def renew(self, left_ms: int) -> None:
        super().renew(2**40)


class Deaf(FakeEngine):
    """Cannot be woken."""

    def wake(self) -> None:
        """Do nothing."""


class Forgetful(FakeEngine):
    """Forgets what runs."""

    def forget(self, lease: str, token: int) -> None:
        self._attempts.pop((lease, token), None)


class Keeper(FakeEngine):
    """Forgets nothing."""

    def forget(self, lease: str, token: int) -> None:
        """Do nothing."""


class Boaster(FakeEngine):
    """Claims to enforce what it says that it does not."""

    def facts(self) -> EngineFacts:
        return replace(super().facts(), not_enforced=("sandbox",))


class Halves(FakeEngine):
    """Shares its machines with others, and does not wait for the rest of a gang."""

    def room(self) -> Room:
        return Room(1000, 1 << 30)


class Told(FakeEngine):
    """Says something else than it knows."""

    said: dict[str, Any] = {}

    def observe(self) -> list[Observed]:
        return [
            replace(each, **self.said) if each.state == "over" else each
            for each in super().observe()
        ]


class AllWell(Told):
    said = {"exit_code": 0, "cause": "exited", "signal": None}


class NoCause(Told):
    said = {"cause": "lost"}


class NoTime(Told):
    said = {"ran_ms": 0}


class LastByte(HostEngine):
    """Loses the last byte of a log."""

    def observe(self) -> list[Observed]:
        seen = super().observe()
        for each in seen:
            log = self.folder(each.lease, each.token) / "log"
            if each.state == "over" and log.exists() and not log.with_name("cut").exists():
                log.with_name("cut").touch()
                log.write_bytes(log.read_bytes()[:-1])
        return seen


class OneLine(HostEngine):
    """Passes on the first line of each variable."""

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        first = {name: value.partition("\n")[0] for name, value in body.environment.items()}
        super().start(lease, token, body.model_copy(update={"environment": first}))


class Impatient(HostEngine):
    """Kills where it should have asked."""

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        super().stop(lease, token, cause, 0)


class Opener:
    """Opens engines of one kind on one folder, and closes those that a failed test left open."""

    def __init__(self, broken: Kind, folder: Path) -> None:
        self.broken, self.folder = broken, folder
        self.opened: list[Engine] = []

    def __call__(self) -> Engine:
        self.opened.append(open_one(self.broken, self.folder))
        return self.opened[-1]

    def close(self) -> None:
        for each in self.opened:
            each.close()


def open_one(broken: Kind, folder: Path) -> Engine:
    if issubclass(broken, HostEngine):
        return broken(HostSettings(folder, is_sandboxed=False, is_limited=False))
    return broken(FakeSettings(folder, (NodeFacts("n", 4000, 1 << 34, 1 << 34),)))


@pytest.mark.parametrize(
    ("broken", "finds"),
    [
        (Amnesia, "a_later_engine_finds_every_attempt_and_its_end"),
        (Overeager, "a_start_that_is_repeated_starts_once"),
        (Endless, "the_end_of_its_lease_ends_it_before_and_after_its_start"),
        (Loner, "only_what_may_move_ends_with_a_silent_session"),
        (Deaf, "a_wait_that_is_woken_returns"),
        (Forgetful, "what_is_over_is_forgotten_with_its_folder_and_what_runs_is_left_alone"),
        (Keeper, "what_is_over_is_forgotten_with_its_folder_and_what_runs_is_left_alone"),
        (Boaster, "it_has_a_node_and_says_what_it_enforces_and_what_not"),
        (Halves, "a_gang_begins_as_a_whole_where_that_is_claimed"),
        (AllWell, "starts_that_come_together_are_all_begun_and_all_end"),
        (AllWell, "the_time_limit_ends_it"),
        (NoCause, "the_first_stops_cause_is_kept"),
        (NoCause, "a_stop_right_after_the_start_ends_it_with_the_stops_cause"),
        (NoTime, "meters_only_grow_and_the_time_is_about_right"),
        (LastByte, "the_log_is_whole_to_its_last_byte_whatever_the_bytes"),
        (LastByte, "a_big_log_and_a_big_result_pass_with_flat_memory"),
        (LastByte, "what_ended_while_no_engine_was_there_is_found"),
        (OneLine, "odd_arguments_variables_names_and_paths_arrive_byte_for_byte"),
        (Impatient, "a_stop_gives_time_to_save"),
    ],
)
def test_a_broken_engine_is_found_out(tmp_path: Path, broken: Kind, finds: str) -> None:
    kit, open_engine = Kit(), Opener(broken, tmp_path / "broken")
    kit.runs_programs = issubclass(broken, HostEngine)
    test = getattr(kit, f"test_{finds}")
    known = {"engine": open_engine(), "open_engine": open_engine, "lease": "lease-0001"}
    asked = test.__code__.co_varnames[1 : test.__code__.co_argcount]
    try:
        with pytest.raises(AssertionError):
            test(**{name: known[name] for name in asked})
    finally:
        open_engine.close()
        sound = open_one(HostEngine if kit.runs_programs else FakeEngine, open_engine.folder)
        EngineConformance().clean(sound)
        sound.close()
