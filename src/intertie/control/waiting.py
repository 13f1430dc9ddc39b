"""A door's errand: append an inbox row, wake the decider, wait for the round that takes it."""

import json
import time
from typing import Any

from sqlalchemy import Engine

from intertie.control.clock import now_ms
from intertie.control.wake import Wake
from intertie.model.job import Rejected
from intertie.model.plain import from_plain
from intertie.model.refusal import Refusal
from intertie.store.appending import Waited, append, waited

ROUND_TIMEOUT_S = 10.0


class NotDecided(Exception):
    """No round has taken the row in time. It stays in the inbox and will be taken."""

    def __init__(self, number: int) -> None:
        super().__init__(f"inbox row {number} waits for a round")
        self.number = number


class Refused(Exception):
    """The round refused, and this is why; `pools` holds each pool's own reason."""

    def __init__(self, refusal: Refusal, rejected: Rejected | None = None) -> None:
        super().__init__(f"{refusal.code} {json.dumps(refusal.values)}")
        self.refusal = refusal
        self.pools = rejected.pools if rejected else ()


def ask(
    engine: Engine,
    wake: Wake,
    kind: str,
    actor: int,
    body: dict[str, Any],
    key: str | None = None,
    timeout_s: float = ROUND_TIMEOUT_S,
) -> tuple[int, dict[str, Any]]:
    """Return the inbox row's id and its answer: {"values": {...}, "document": ...}.

    Raises Refused with the reason, NotDecided when no round came, KeyReused.
    """
    number = append(engine, kind, actor, now_ms(), body, key)
    wake.poke()
    found = _wait(engine, wake, number, timeout_s)
    answer = found.answer or {"refusal": None, "values": {}, "document": None}
    if answer["refusal"] is not None:
        pools = answer["document"]
        rejected = from_plain(Rejected, pools) if pools else None
        raise Refused(from_plain(Refusal, answer["refusal"]), rejected)
    return number, answer


def _wait(engine: Engine, wake: Wake, number: int, timeout_s: float) -> Waited:
    ends = time.monotonic() + timeout_s
    while True:
        seen = wake.seen()
        found = waited(engine, number)
        if found.is_taken:
            return found
        left_s = ends - time.monotonic()
        if left_s <= 0:
            raise NotDecided(number)
        wake.wait(seen, min(left_s, 0.5))
