"""The hours in which an owner lends, as people write them, by the clock on the owner's wall."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from intertie.model.units import MILLI

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN = 24 * 60
MINUTE_MS = 60 * MILLI
SEEN_AHEAD_MIN = 8 * DAY_MIN
_DAY = "|".join(DAYS)
_WINDOW = re.compile(
    rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))?)?\s*"
    r"(?:(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d))?"
)


@dataclass(frozen=True)
class Window:
    """From one minute of the day to another, the last not in it, on these days (Monday is 0).

    An end that is not after its beginning is on the next day.
    """

    days: frozenset[int]
    begin_min: int
    end_min: int

    def holds(self, day: int, minute: int) -> bool:
        """Return whether a minute of a day of the week is in it."""
        if self.begin_min < self.end_min:
            return day in self.days and self.begin_min <= minute < self.end_min
        is_evening = day in self.days and minute >= self.begin_min
        return is_evening or ((day - 1) % 7 in self.days and minute < self.end_min)


@dataclass(frozen=True)
class Windows:
    """When the owner lends; always, where there is no window.

    Where clocks are put back, the hour that comes twice is in a window twice.
    """

    each: tuple[Window, ...] = ()
    zone: ZoneInfo | None = None

    def is_open(self, now: int) -> bool:
        """Return whether the owner lends at an instant, in ms since the epoch."""
        if not self.each:
            return True
        here = datetime.fromtimestamp(now // MILLI, self.zone)
        minute = here.hour * 60 + here.minute
        return any(window.holds(here.weekday(), minute) for window in self.each)

    def changes_at(self, now: int) -> int:
        """Return the next instant at which this opens or shuts; 0 if it does not in a week."""
        before, minute = self.is_open(now), now // MINUTE_MS
        for at in range(minute + 1, minute + SEEN_AHEAD_MIN if self.each else 0):
            if self.is_open(at * MINUTE_MS) != before:
                return at * MINUTE_MS
        return 0


def read_windows(texts: Sequence[str], zone: str) -> Windows:
    """Return the windows in texts such as ``22:00-08:00``, ``sat-sun``, ``mon-fri 18:00-24:00``.

    ValueError names the text and shows the form.
    """
    if texts and not zone:
        raise ValueError('time_zone: lend needs it: add a line such as time_zone = "Asia/Shanghai"')
    return Windows(tuple(read_window(each) for each in texts), read_zone(zone))


def read_window(text: str) -> Window:
    """Return one window; ValueError shows the form."""
    match = _WINDOW.fullmatch(text.strip().lower())
    if match is None or not (match["first"] or match["begin"]):
        raise ValueError(f'write "22:00-08:00", "sat-sun" or "mon-fri 18:00-24:00", not {text!r}')
    begin_min, end_min = _minutes(match["begin"] or "00:00"), _minutes(match["end"] or "24:00")
    if begin_min in (end_min, DAY_MIN):
        raise ValueError(f'{text!r} is empty: for whole days write the days, such as "mon-sun"')
    return Window(_days(match["first"], match["last"]), begin_min, end_min)


def read_zone(name: str) -> ZoneInfo | None:
    """Return a time zone by its name, None for none; ValueError shows the form."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise ValueError(f'write a zone such as "Asia/Shanghai" or "UTC", not {name!r}') from error


def _minutes(text: str) -> int:
    hours, minutes = int(text[:2]), int(text[3:])
    if minutes > 59 or hours * 60 + minutes > DAY_MIN:
        raise ValueError(f"{text!r} is no time of the day: write 00:00 to 24:00")
    return hours * 60 + minutes


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if not first:
        return frozenset(range(7))
    begin = DAYS.index(first)
    count = (DAYS.index(last) - begin) % 7 + 1 if last else 1
    return frozenset((begin + i) % 7 for i in range(count))
