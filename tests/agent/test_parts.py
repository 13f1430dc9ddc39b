"""The agent's small parts: settings, journal, owner, policy, score."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from intertie.agent import network_clock, owner
from intertie.agent.benchmark import measured_score, score_of
from intertie.agent.book import Book, Record
from intertie.agent.joining import engine_settings, open_engine, score
from intertie.agent.journal import Journal
from intertie.agent.key import load_key
from intertie.agent.network_clock import NetworkClock
from intertie.agent.owner import Lent, Reclaim
from intertie.agent.policy import Guests, to_reclaim, why_not
from intertie.agent.settings import AgentSettings, Raw, SettingsError, read_settings, with_keys
from intertie.catalogue.profiles import read_profile
from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.model.parties import Score
from intertie.wire.sync import LeaseObservation
from tests.engines.hosting import a_body

GOOD = 'network = "http://127.0.0.1:8080"\nfolder = "here"\npool = "lab"\n'


def test_settings_are_read_in_the_units_people_write(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        GOOD + 'price = "2.50"\nlent_cpus = 1.5\nlent_memory = "4GiB"\ngrace = "1m"\n'
    )
    read = read_settings(tmp_path / "a.toml")
    assert (read.price_micro_per_unit_h, read.lent_cpus_milli) == (2_500_000, 1500)
    assert (read.lent_memory_bytes, read.grace_s) == (4 << 30, 60)
    assert read.folder == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "field", "fix"),
    [
        ('folder = "x"\npool = "lab"\n', "network", "add it"),
        (GOOD + 'price = "-1"\n', "price", "negative"),
        (GOOD + "speed_percent = 0\n", "speed_percent", "greater than or equal to 1"),
        (GOOD + 'colour = "red"\n', "colour", "no such setting; there is network"),
        (GOOD + 'lent_memory = "much"\n', "lent_memory", "512MiB"),
        (GOOD.replace("http:", "ftp:"), "network", "http"),
        ("network = ", "a.toml", "not TOML"),
        (GOOD + 'engine = "condor"\n', "engine", "there is fake, host"),
        (GOOD + "[slurm]\npartition = 1\n", "[slurm]", 'set engine = "slurm"'),
        (GOOD + 'lend = ["22:00-08:00"]\n', "time_zone", "add a line such as"),
        (GOOD + 'lend = ["10pm"]\ntime_zone = "UTC"\n', "lend", '"22:00-08:00"'),
        (GOOD + 'time_zone = "Mars"\n', "time_zone", "Asia/Shanghai"),
        (GOOD + 'projects = ["a"]\nnot_projects = ["a"]\n', "not_projects", "take it out"),
        (GOOD + 'fingerprint = "sha256:12"\n', "fingerprint", "64 hexadecimal digits"),
        (GOOD + 'score = "fast"\n', "score", "write an amount"),
        (GOOD + "lent_devices = -1\n", "lent_devices", "greater than or equal to 0"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(
    tmp_path: Path, text: str, field: str, fix: str
) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(SettingsError) as told:
        read_settings(tmp_path / "a.toml")
    assert field in str(told.value)
    assert fix in str(told.value)


def test_settings_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        read_settings(tmp_path / "none.toml")


def test_the_owner_s_whole_policy_stands_in_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        GOOD
        + 'engine = "fake"\nscore = "1.5"\nlend = ["22:00-08:00", "sat-sun"]\n'
        + 'time_zone = "Asia/Shanghai"\nlent_devices = 0\nprojects = ["bio"]\n'
        + 'not_projects = ["ads"]\nown_first = "lab"\ngrace = "5m"\n[fake]\nstartup_ms = 9\n'
    )
    read = read_settings(tmp_path / "a.toml")
    assert (read.engine, read.table, read.score_millionths) == (
        "fake",
        {"startup_ms": 9},
        1_500_000,
    )
    assert (read.lent_devices, len(read.windows.each)) == (0, 2)
    assert [read.guests.admit(name) for name in ("bio", "ads", "math")] == [True, False, False]


def test_a_wrong_key_in_the_engine_s_table_is_named_with_its_fix(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD + 'engine = "fake"\n[fake]\nspeed = 9\n')
    with pytest.raises(SettingsError, match=r"\[fake\] speed: .*there is score_millionths"):
        open_engine(read_settings(tmp_path / "a.toml"))


def test_other_engines_than_the_host_declare_their_score(tmp_path: Path) -> None:
    settings = AgentSettings("http://127.0.0.1:1", tmp_path, "lab", engine="fake")
    assert score(settings) == Score("cpu@1", 1_000_000, "declared")
    assert score(replace(settings, score_millionths=7)) == Score("cpu@1", 7, "declared")


def test_keys_are_set_in_a_settings_file_and_the_rest_stays(tmp_path: Path) -> None:
    before = '# mine\npool = "a"\n\n[slurm]\npool = "inner"\n'
    after = with_keys(before, {"pool": "b", "price": "1"})
    assert after == '# mine\npool = "b"\nprice = "1"\n\n[slurm]\npool = "inner"\n'
    assert with_keys(after, {"pool": "b"}) == after
    assert with_keys("", {"a": "é", "b": 1}) == 'a = "é"\nb = 1\n'
    url = {"url": Raw.of("http://x"), "n": Raw.of("{ a = 1 }")}
    inner = with_keys(after, url, "ray")
    assert inner == after + '\n[ray]\nurl = "http://x"\nn = { a = 1 }\n'
    assert with_keys(inner, {"pool": "c"}, "slurm") == inner.replace('"inner"', '"c"')


def test_the_key_stays_the_same_and_stays_private(tmp_path: Path) -> None:
    assert load_key(tmp_path).public == load_key(tmp_path).public
    assert (tmp_path / "agent.key").stat().st_mode & 0o777 == 0o600


def test_a_journal_survives_a_cut_at_any_byte(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j")
    book = Book(journal)
    body = a_body("true")
    book.take("lease-0001", 1, 5, body)
    book.take("lease-0002", 2, 5, body)
    book.order_stop(book.records["lease-0002", 2], "cancelled", 3)
    with book.changed:
        book.end(book.records["lease-0001", 1], an_end("lease-0001", 1))
    journal.close()
    whole = (tmp_path / "j").read_bytes()
    for size in range(0, len(whole), 7):
        (tmp_path / "j").write_bytes(whole[:size])
        later = Book(Journal(tmp_path / "j"))
        later.load()
        entries = whole[:size].count(b"\n")
        assert len(later.records) == min(2, entries + (whole[size : size + 1] == b"\n"))
        later.load()
        later.journal.close()
    (tmp_path / "j").write_bytes(whole[:-20])  # what was being written last is not there
    assert [e["kind"] for e in Journal(tmp_path / "j").read()] == ["taken", "taken", "stop"]


def test_a_loaded_book_is_the_book_that_was_written(tmp_path: Path) -> None:
    book = Book(Journal(tmp_path / "j"))
    book.take("lease-0001", 1, 5, a_body("true"))
    book.decline("lease-0002", 1, "pool_full")
    with book.changed:
        book.end(book.take("lease-0003", 1, 5, a_body("true")), an_end("lease-0003", 1))
        book.forget(book.take("lease-0004", 1, 5, a_body("true")))
    later = Book(Journal(tmp_path / "j"))
    later.load()
    assert set(later.records) == {(f"lease-000{n}", 1) for n in (1, 2, 3)}
    assert later.digest(1) == book.digest(1)
    assert later.digest(2) == book.digest(2)
    assert later.declines() == book.declines()
    assert later.known() == book.known()
    for each in (book, later):
        each.journal.close()


def test_the_last_ends_stay_in_the_book_after_the_network_has_booked_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intertie.agent.book.PAST_MAX", 3)
    book = Book(Journal(tmp_path / "j"))
    for n in range(1, 6):
        name = (f"lease-{n:04d}", 1)
        with book.together():
            record = book.take(*name, 5, a_body("true"))
            book.end(record, an_end(*name).model_copy(update={"started_at": 7}))
            book.forget(record)
    never_ran = ("lease-0009", 1)
    book.end(book.take(*never_ran, 5, a_body("true")), an_end(*never_ran))
    book.forget(book.records[never_ran])
    later = Book(Journal(tmp_path / "j"))
    later.load()
    assert len(later.journal.read()) == 2 * 3  # the journal grows no longer than the past
    for each in (book, later):
        assert list(each.past) == [(f"lease-{n:04d}", 1) for n in (3, 4, 5)]
        recalled = each.recall(("lease-0005", 1))
        assert recalled is not None
        assert recalled.observation().started_at == 7
        assert each.recall(("lease-0001", 1)) is None
        each.journal.close()


def test_the_owner_s_grace_is_the_grace_of_stops_that_nobody_ordered(tmp_path: Path) -> None:
    settings = AgentSettings("http://127.0.0.1:1", tmp_path, "lab", grace_s=17)
    assert engine_settings(settings).grace_s == 17


def test_the_network_s_clock_is_known_by_its_fastest_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, boot = NetworkClock(), 1_000_000
    monkeypatch.setattr(network_clock, "boot_ms", lambda: boot)
    assert abs(clock.left_ms(time.time_ns() // 1_000_000 + 9_000) - 9_000) < 1_000  # our own
    ahead = 5_000_000_000
    for late_ms in (700, 20, 900, 300):
        clock.hear(boot + ahead - late_ms)
    assert clock.left_ms(boot + ahead + 10_000) == 10_020
    clock.hear(0)  # an older network does not say it
    boot += 30_000
    clock.hear(boot + ahead - 400)
    assert clock.left_ms(boot + ahead + 10_000) == 10_050  # what is old is believed less
    clock.hear(boot + 2 * ahead)  # another network's, after a restore
    assert clock.left_ms(boot + 2 * ahead + 1) == 1
    assert clock.left_ms(5) == 0


def test_the_owner_s_order_is_kept_in_a_file_until_it_is_released(tmp_path: Path) -> None:
    assert owner.read_reclaim(tmp_path) is None
    owner.reclaim(tmp_path, cpus_milli=1000, seconds=3600)
    order = owner.read_reclaim(tmp_path)
    assert order is not None
    assert (order.cpus_milli, order.memory_bytes) == (1000, None)
    assert order.until is not None
    owner.reclaim(tmp_path, cpus_milli=9000)
    assert owner.read_reclaim(tmp_path) == Reclaim(9000)
    owner.release(tmp_path)
    assert owner.read_reclaim(tmp_path) is None
    (tmp_path / "owner.json").write_text('{"lent_cpus_milli": "all"}')
    assert owner.read_reclaim(tmp_path) is None


def test_a_no_names_its_reason() -> None:
    body, lent = a_body("true", requires=["sandbox"]), Lent(1000, 1 << 30)
    everyone = Guests()
    assert why_not(body, [], lent, ("sandbox",), everyone) == ""
    assert why_not(body, [], lent, (), everyone) == "not_enforced"
    for guests in (Guests(("other",)), Guests(refused=(body.project,))):
        assert why_not(body, [], lent, ("sandbox",), guests) == "provider_does_not_admit"
    assert why_not(body, [body], lent, ("sandbox",), everyone) == "pool_full"
    session = a_body("true", kind="session")
    assert why_not(session, [], lent, ("sessions",), everyone) == ""
    assert why_not(session, [], lent, ("sandbox",), everyone) == "no_sessions"
    held_back = Lent(1000, 1 << 30, is_reclaimed=True)
    assert why_not(body, [body], held_back, ("sandbox",), everyone) == "owner_reclaimed"
    leaving = Lent(1000, 1 << 30, is_draining=True)
    assert why_not(body, [], leaving, ("sandbox",), everyone) == "pool_draining"


def test_devices_that_are_lent_are_counted_too() -> None:
    body, lent = a_body("true", device_count=2), Lent(9000, 1 << 40, device_count=3)
    assert why_not(body, [], lent, (), Guests()) == ""
    assert why_not(body, [body], lent, (), Guests()) == "pool_full"


def test_reclaim_takes_the_latest_first() -> None:
    held = [Record(f"lease-{n}", 1, body=a_body("true")) for n in range(3)]
    assert to_reclaim(held, Lent(3000, 1 << 30)) == []
    assert [r.lease for r in to_reclaim(held, Lent(1000, 1 << 30))] == ["lease-2", "lease-1"]
    assert len(to_reclaim(held, Lent(3000, 0))) == 3


def test_a_score_is_the_mean_against_the_reference_and_needs_every_part() -> None:
    profile = read_profile("cpu@1")
    same = {part.name: [part.reference] * 3 for part in profile.components}
    score = score_of(profile, same)
    assert score is not None
    assert score.millionths == 1_000_000
    name = profile.components[0].name
    eightfold = score_of(profile, same | {name: [1, profile.components[0].reference * 8, 2**60]})
    assert eightfold is not None
    assert eightfold.millionths == 2_000_000
    assert score_of(profile, same | {name: [5, 5]}) is None
    assert score_of(profile, {k: v for k, v in same.items() if k != name}) is None


def test_a_score_is_measured_once_and_kept(tmp_path: Path) -> None:
    engine = HostEngine(HostSettings(tmp_path / "engine", speed_percent=40))
    score = measured_score(engine, tmp_path / "cache", is_again=False)
    assert score is not None
    before = (tmp_path / "cache").stat().st_mtime_ns
    assert measured_score(engine, tmp_path / "cache", is_again=False) == score
    assert (tmp_path / "cache").stat().st_mtime_ns == before
    assert engine.observe() == []
    engine.close()


def an_end(lease: str, token: int) -> LeaseObservation:
    return LeaseObservation(lease=lease, token=token, state="ended", cause="exited", exit_code=0)
