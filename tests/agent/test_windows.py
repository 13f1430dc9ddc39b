"""When an owner lends: windows over midnight, weekends and daylight saving; what is lent now."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intertie.agent.owner import Lent, Reclaim
from intertie.agent.policy import lent_now, room_with_guests
from intertie.agent.windows import DAY_MIN, DAYS, Windows, read_window, read_windows
from intertie.engines.protocol import Room
from tests.engines.hosting import a_body

BERLIN = "Europe/Berlin"
TERMS = Lent(8000, 1 << 34, device_count=4)


def at(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def is_open(windows: Windows, text: str) -> bool:
    return windows.is_open(at(text))


def test_a_window_goes_over_midnight() -> None:
    nights = read_windows(["22:00-08:00"], BERLIN)
    assert [is_open(nights, f"2026-11-24T{t}") for t in ("21:59:59", "22:00", "23:59")] == [
        False,
        True,
        True,
    ]
    assert is_open(nights, "2026-11-25T00:00")
    assert is_open(nights, "2026-11-25T07:59:59")
    assert not is_open(nights, "2026-11-25T08:00")


def test_a_window_that_begins_on_friday_ends_on_saturday() -> None:
    evenings = read_windows(["fri 20:00-06:00"], BERLIN)
    assert is_open(evenings, "2026-11-27T20:00")
    assert is_open(evenings, "2026-11-28T05:59")
    assert not is_open(evenings, "2026-11-27T05:59")
    assert not is_open(evenings, "2026-11-28T20:00")


def test_days_may_go_over_the_end_of_the_week() -> None:
    assert read_window("sat-mon").days == {5, 6, 0}
    assert read_window("mon-sun").days == set(range(7))
    weekend = read_windows(["sat-sun"], BERLIN)
    assert is_open(weekend, "2026-11-29T23:59")
    assert not is_open(weekend, "2026-11-30T00:00")


def test_the_owner_s_wall_clock_counts_when_clocks_are_changed() -> None:
    mornings = read_windows(["02:00-03:00"], BERLIN)
    twice = [at("2026-10-25T00:00") + minute * 60_000 for minute in range(DAY_MIN + 60)]
    assert sum(map(mornings.is_open, twice)) == 120  # the hour that comes twice
    once = [at("2026-03-29T00:00") + minute * 60_000 for minute in range(DAY_MIN - 60)]
    assert sum(map(mornings.is_open, once)) == 0  # the hour that never comes
    nights = read_windows(["22:00-08:00"], BERLIN)
    assert nights.changes_at(at("2026-10-24T23:00")) == at("2026-10-25T08:00")
    assert nights.changes_at(at("2026-03-28T23:00")) == at("2026-03-29T08:00")


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("10pm-8am", "write"),
        ("", "write"),
        ("24:00-24:00", "empty"),
        ("08:00-08:00", "empty"),
        ("22:61-08:00", "no time of the day"),
        ("22:00-25:00", "no time of the day"),
        ("sat,sun", "write"),
    ],
)
def test_a_wrong_window_is_shown_the_form(text: str, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        read_window(text)


def test_windows_need_to_know_whose_clock_it_is() -> None:
    with pytest.raises(ValueError, match="time_zone"):
        read_windows(["22:00-08:00"], "")
    with pytest.raises(ValueError, match="Asia/Shanghai"):
        read_windows(["22:00-08:00"], "Mars/North")


zones = st.sampled_from([BERLIN, "UTC", "Asia/Shanghai", "Australia/Lord_Howe", "America/St_Johns"])
instants = st.integers(at("2026-01-01T00:00", "UTC"), at("2027-12-31T00:00", "UTC"))
times = st.integers(0, DAY_MIN - 1)


@st.composite
def windows(draw: st.DrawFn) -> Windows:
    texts = []
    for _ in range(draw(st.integers(0, 3))):
        begin, end = draw(times), draw(times)
        days = f"{draw(st.sampled_from(DAYS))}-{draw(st.sampled_from(DAYS))} "
        if begin != end:
            texts.append(days + "-".join(f"{t // 60:02}:{t % 60:02}" for t in (begin, end)))
    return read_windows(texts, draw(zones))


@given(windows(), instants)
def test_what_is_open_is_what_the_wall_clock_says_minute_by_minute(made: Windows, now: int) -> None:
    here = datetime.fromtimestamp(now / 1000, made.zone)
    slow = not made.each
    for window in made.each:
        for back in (0, 1):  # the window that began today, or the one that began yesterday
            day = (here - timedelta(days=back)).date() if back else here.date()
            end_min = window.end_min + (DAY_MIN if window.end_min <= window.begin_min else 0)
            minute = here.hour * 60 + here.minute + back * DAY_MIN
            slow |= day.weekday() in window.days and window.begin_min <= minute < end_min
    assert made.is_open(now) == slow


@given(windows(), instants)
def test_it_next_changes_where_it_says_and_not_before(made: Windows, now: int) -> None:
    changes_at = made.changes_at(now)
    if not changes_at:
        assert made.is_open(now) == made.is_open(now + 3 * 86_400_000)
        return
    assert changes_at > now
    assert made.is_open(changes_at) != made.is_open(now) == made.is_open(changes_at - 1)


orders = st.none() | st.builds(
    Reclaim, st.integers(0, 9000), st.none() | st.integers(0, 1 << 35), st.none() | instants
)
rooms = st.none() | st.builds(
    Room, st.integers(0, 9000), st.integers(0, 1 << 35), st.integers(0, 9)
)


@given(windows(), rooms, orders, instants)
def test_never_more_is_lent_than_the_terms_and_nothing_while_shut(
    made: Windows, room: Room | None, order: Reclaim | None, now: int
) -> None:
    lent = lent_now(TERMS, made, room, order, now)
    assert lent.device_count is not None
    sizes = (lent.cpus_milli, lent.memory_bytes, lent.device_count)
    most = (TERMS.cpus_milli, TERMS.memory_bytes, TERMS.device_count)
    assert all(0 <= size <= limit for size, limit in zip(sizes, most, strict=True))
    if not made.is_open(now):
        assert (sizes, lent.is_reclaimed) == ((0, 0, 0), True)
    elif room is not None:
        left = (room.cpus_milli, room.memory_bytes, room.device_count)
        assert all(size <= limit for size, limit in zip(sizes, left, strict=True))
    elif order is None:
        assert lent == TERMS


def test_the_site_s_own_users_leave_less_but_take_nothing_back() -> None:
    body = a_body("true", cpus_milli=3000, device_count=2)
    always = Windows()
    left = room_with_guests(Room(1000, 1 << 20, 0), [body])
    assert left == Room(3000, max(1 << 20, body.memory_bytes), 2)
    assert lent_now(TERMS, always, left, None, 0).cpus_milli == 3000
    assert lent_now(TERMS, always, room_with_guests(None, [body]), None, 0) == TERMS


def test_an_order_of_the_owner_ends_when_it_said() -> None:
    order = Reclaim(2000, until=100)
    lent = lent_now(TERMS, Windows(), None, order, 99)
    assert (lent.cpus_milli, lent.memory_bytes, lent.device_count) == (2000, 1 << 32, 1)
    assert lent.is_reclaimed
    assert lent_now(TERMS, Windows(), None, order, 100) == TERMS
