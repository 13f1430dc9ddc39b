"""The processes of a run: tellers that ask, agents that report, deciders; each dies by count.

Each is real code of the store and of control on a connection of its own. A death is `os._exit` at
the n-th statement or on either side of a commit: nothing is rolled back or closed by us.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Any

from sqlalchemy import Engine, event, select

from intertie.control.clock import now_ms
from intertie.control.decider import run
from intertie.control.wake import Wake
from intertie.model.ids import encode
from intertie.model.parties import NodeFacts, PoolFacts, Score, Terms
from intertie.model.plain import to_plain
from intertie.model.request import Request, Resources
from intertie.model.states import JobState
from intertie.model.units import GIB, MICRO
from intertie.store import tables
from intertie.store.appending import Appended, append, append_many, waited
from intertie.store.database import open_database
from tests.faults.ledger.plan import KILLED, Plan, journal_of

WAITING_MAX, JOBS_MAX = 200, 12
SAID_MAX = 400
REPEATED = 3
PAUSE_S = 0.05


def dies_at(engine: Engine, statement: int) -> None:
    """Let this process die at its n-th statement, or on a side of the commit that is then next.

    The thread that renews the leadership is not counted: however slow the machine is, a life is so
    many statements of the river, and gets on.
    """
    left, mine = [statement], threading.get_ident()
    do_commit: Callable[[Any], None] = engine.dialect.do_commit

    def step(*_: object) -> None:
        if threading.get_ident() != mine:
            return
        left[0] -= 1
        if left[0] == 0:
            os._exit(KILLED)

    def commit(connection: Any) -> None:
        step()
        do_commit(connection)
        step()

    event.listen(engine, "before_cursor_execute", step)
    engine.dialect.do_commit = commit  # type: ignore[method-assign]


def opened(plan: Plan, name: str, statement: int) -> tuple[Engine, Wake]:
    """Return the store and the wake-ups of a process; `statement` 0 is one that lives on."""
    engine = open_database(plan.url)
    if statement:
        dies_at(engine, statement)
    return engine, Wake(plan.folder, name, engine)


def decide(plan: Plan, number: int, statement: int) -> None:
    """Follow, lead, decide; for ever."""
    engine, wake = opened(plan, f"decider{number}", statement)
    run(engine, wake, threading.Event())


def tell(plan: Plan, number: int, statement: int) -> None:
    """Top up wallets and submit arrays until there is enough; ask the last ones again first."""
    engine, wake = opened(plan, f"teller{number}", statement)
    with engine.connect().execution_options(is_read=True) as connection:
        # Sorted: an ask that is repeated is the same, however PostgreSQL has moved its rows.
        projects = sorted(connection.execute(select(tables.DECIDED["Project"].c.id)).scalars())
    path = journal_of(plan, number)
    groups = len(path.read_text().splitlines()) if path.exists() else 0
    with path.open("ab", buffering=0) as journal:  # a line is written whole, or not at all
        for group in count(max(0, groups - REPEATED)):
            while _is_full(engine):
                time.sleep(PAUSE_S)
            if plan.enough.exists():
                return
            asked = list(_asked(plan, number, group, projects))
            given = append_many(engine, asked)
            told = " ".join(f"{each.key}={n!r}" for each, n in zip(asked, given, strict=True))
            journal.write(f"{told}\n".encode())
            wake.poke()


def report(plan: Plan, pool: int, statement: int) -> None:
    """Speak for a pool: every lease runs, crosses slices of the grid and ends; for ever.

    What to say next is read from the lease's own row, so that an agent that died knows it too.
    """
    engine, wake = opened(plan, f"agent{pool}", statement)
    opened_row = append(engine, "session", pool, now_ms(), {"pool": to_plain(facts_of(pool))})
    wake.poke()
    while not (found := waited(engine, opened_row)).is_taken:
        time.sleep(PAUSE_S)
    epoch = (found.answer or {})["values"]["epoch"]
    numbers = count(1)
    while True:
        said = [body for body in _observations(engine, pool, epoch, numbers) if body[1]["leases"]]
        for ahead_ms, body in said:
            append(engine, "sync", pool, now_ms() + ahead_ms, body)
        if said:
            wake.poke()
        time.sleep(PAUSE_S if said else 2 * PAUSE_S)


def facts_of(pool: int) -> PoolFacts:
    """Return a pool on which a thousand tasks run at once."""
    cpus_milli, memory_bytes = 500_000, 500 * GIB
    node = NodeFacts("n", cpus_milli, memory_bytes, 1000 * GIB)
    return PoolFacts(
        f"pool{pool}", "fake", "cn-east", "CN", 5, "declared", (node, node),
        Terms(100_000 + 7 * pool, 5, 2 * cpus_milli, 2 * memory_bytes),
        (Score("cpu@1", MICRO, "measured"),),
    )  # fmt: skip


def _is_full(engine: Engine) -> bool:
    """Return whether enough waits already, in the inbox or as jobs that have not settled."""
    table, job = tables.inbox, tables.DECIDED["Job"]
    rows = select(table.c.id).where(table.c.taken_round.is_(None)).limit(WAITING_MAX)
    jobs = select(job.c.id).where(job.c.state < JobState.SETTLED).limit(JOBS_MAX)
    with engine.connect().execution_options(is_read=True) as connection:
        is_waiting = len(connection.execute(rows).all()) >= WAITING_MAX
        return is_waiting or len(connection.execute(jobs).all()) >= JOBS_MAX


def _asked(plan: Plan, number: int, group: int, projects: list[int]) -> Iterator[Appended]:
    """Return the group-th asks of a teller: always the same ones."""
    chance = Random(f"{plan.seed} {number} {group}")
    for at in range(chance.choice((1, 1, 2, 20))):
        key, now = f"{number}.{group}.{at}", 1_000_000 * group + at
        if chance.random() < 0.8:
            body = {"project": chance.choice(projects), "amount_micro": chance.randrange(1, MICRO)}
            yield Appended("top_up", 0, now, body, key)
            continue
        request = Request(
            name="job",
            command=("true",),
            task_count=chance.randrange(1, plan.array_most),
            resources=Resources(1000, GIB, 1),
            expected_s=40,
            time_limit_s=120,
        )
        yield Appended(
            "job",
            chance.choice(projects),
            now,
            {"request": to_plain(request), "option": ""},
            key,
        )


def _observations(
    engine: Engine, pool: int, epoch: int, numbers: Iterator[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Return (how far ahead of now it arrives, a sync) for what each lease has to say next."""
    lease = tables.DECIDED["Lease"].c
    query = (
        select(lease.id, lease.token, lease.observed, lease.agent_ms)
        .where(lease.pool == pool, lease.state.in_((0, 1)))
        .limit(SAID_MAX)
    )
    with engine.connect().execution_options(is_read=True) as connection:
        rows = connection.execute(query).all()
    stages: dict[int, list[dict[str, Any]]] = {0: [], 30_000: [], 60_000: []}
    for number, token, observed, agent_ms in rows:
        seen = {"lease": encode("lease", number), "token": token, "state": "running"}
        if number % 3 == 0 and not observed:
            stages[0].append(seen | _ended(1_000 + number % 7_919))
        elif not observed:
            stages[0].append(seen | {"ran_ms": 0})
        elif agent_ms < 25_000:
            stages[30_000].append(seen | {"ran_ms": 25_000 + number % 997})
        else:
            stages[60_000].append(seen | _ended(38_000 + number % 9_001))
    for ahead_ms, leases in stages.items():
        yield ahead_ms, _sync(epoch, numbers, leases)


def _ended(ran_ms: int) -> dict[str, Any]:
    return {"state": "ended", "cause": "exited", "exit_code": 0, "ran_ms": ran_ms}


def _sync(epoch: int, numbers: Iterator[int], leases: list[dict[str, Any]]) -> dict[str, Any]:
    lent = facts_of(0).terms
    return {
        "protocol": 2,
        "epoch": epoch,
        "sequence": next(numbers),
        "digest": "",
        "leases": leases,
        "declines": [],
        "owner": {
            "lent_cpus_milli": lent.lent_cpus_milli,
            "lent_memory_bytes": lent.lent_memory_bytes,
            "is_draining": False,
        },
    }
