"""An independent judge: from what people asked and machines truly did, what the books must say.

Written from the design (sections 5, 7 and 8), not from the code. It reads tables by their names,
knows nouns and their states by number, and calls no function that decides.
"""

import json
import sqlite3
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from intertie.model.ids import decode
from intertie.model.policy import Policy
from tests.simulation.books import (
    CHARGE,
    EARNINGS,
    ESCROW,
    FEES,
    HOLD,
    ISSUANCE,
    RELEASE,
    TOP_UP,
    TRIAL,
    WALLET,
    Heard,
    Predicted,
    Row,
    cost,
    predict,
)
from tests.simulation.machines import Run
from tests.simulation.users import Ask

ALIVE = (0, 1, 2)  # placed, running, stopping
FINISHING = 2  # of what was observed: the processes are gone, their files are there yet
LEASE_ENDED, SETTLED = 3, 4
ONLINE = 1
JOB_QUEUED, JOB_RUNNING = 1, 2
TASK_QUEUED, TASK_ENDED = 1, 4
DONE = 1
LOST, START_FAILED, DECLINED = 10, 5, 6
RESTED = 2


@dataclass(frozen=True)
class Truth:
    """What really happened so far. `jumps` and `restores` are (at, ms) and (backup at, at)."""

    now: int
    asks: list[Ask]
    runs: list[Run]
    jumps: list[tuple[int, int]]
    restores: list[tuple[int, int]]
    is_resting: bool


class Auditor:
    """Judges one network's store. `judge` returns a sentence for everything that is wrong."""

    def __init__(self, path: Path, policy: Policy) -> None:
        self._path, self._policy = path, policy
        self._looked = 0
        self._rested = 0
        self._faults: list[str] = []
        self._tables: dict[str, list[Row]] = {}

    def judge(self, truth: Truth, is_end: bool) -> list[str]:
        """Return what is wrong at this instant, and every fourth time with the whole history."""
        self._looked += 1
        self._faults, self._tables = [], {}
        self._balances()
        self._capacity(truth.is_resting)
        self._holds_cover()
        if is_end or self._looked % 4 == 0:
            self._asks(truth, is_end)
            self._results()
            self._charges(truth)
            self._machines(truth)
        if is_end:
            self._all_over(truth)
        return self._faults

    def is_all_settled(self) -> bool:
        """Return whether every job has settled."""
        self._tables = {}
        return all(job["state"] == SETTLED for job in self._rows("job"))

    def may_only_wait(self) -> bool:
        """Return whether nothing has run for a while: what waits now waits for people.

        An agent that was cut off in a long poll is not back for up to a minute.
        """
        is_idle = all(lease["state"] == SETTLED for lease in self._rows("lease"))
        is_whole = all(pool["state"] == ONLINE for pool in self._rows("pool"))
        self._rested = self._rested + 1 if is_idle and is_whole else 0
        return self._rested > RESTED

    def waiting(self) -> list[Row]:
        """Return the jobs that have not settled."""
        self._tables = {}
        return [job for job in self._rows("job") if job["state"] != SETTLED]

    def keys(self) -> set[str]:
        """Return the keys under which the store knows requests."""
        self._tables = {}
        return {str(row["idempotency_key"]) for row in self._rows("inbox")}

    def counts(self) -> Counter[str]:
        """Return how much there is of what the auditor judged."""
        self._tables = {}
        names = ("inbox", "job", "task", "lease", "usage_record", "ledger_transaction", "posting")
        return Counter({name: len(self._rows(name)) for name in names})

    def contents(self) -> list[Any]:
        """Return what the run left in the store, the same for the same seed."""
        self._tables = {}
        rounds = [[r["number"], r["at"], r["digest"]] for r in self._rows("round")]
        inbox = [[r["id"], r["kind"], r["at"], r["body"], r["answer"]] for r in self._rows("inbox")]
        return [rounds, inbox, self._rows("posting"), self._rows("balance"), self._rows("event")]

    def _wrong(self, what: str) -> None:
        self._faults.append(what)

    def _rows(self, table: str) -> list[Row]:
        if table not in self._tables:
            connection = sqlite3.connect(self._path)
            connection.row_factory = sqlite3.Row
            found = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
            connection.close()
            self._tables[table] = found
        return self._tables[table]

    def _by_id(self, table: str) -> dict[int, Row]:
        return {row["id"]: row for row in self._rows(table)}

    # What holds at every instant.

    def _balances(self) -> None:
        """Balances are the sums of postings; nobody owes but who issues; all sums to zero."""
        found: Counter[int] = Counter()
        kinds = {row["id"]: row["kind"] for row in self._rows("account")}
        for posting in self._rows("posting"):
            if posting["amount_micro"] <= 0:
                self._wrong(f"posting {posting} moves nothing, or backwards")
            found[posting["source"]] -= posting["amount_micro"]
            found[posting["destination"]] += posting["amount_micro"]
        kept = {row["account"]: row["amount_micro"] for row in self._rows("balance")}
        if sum(kept.values()):
            self._wrong(f"balances sum to {sum(kept.values())}")
        for account, kind in kinds.items():
            if kept.get(account, 0) != found[account]:
                self._wrong(f"account {account}: {kept.get(account)} kept, {found[account]} posted")
            if found[account] < 0 and kind != ISSUANCE:
                self._wrong(f"account {account} owes {found[account]}")
        self._expect_money()

    def _expect_money(self) -> None:
        """Wallets and escrows are what credit, holds, charges and releases leave."""
        credit, open_micro, spent = Counter[int](), Counter[int](), Counter[int]()
        for hold in self._rows("hold"):
            left = hold["amount_micro"] - hold["posted_micro"] - hold["released_micro"]
            open_micro[hold["project"]] += left
            spent[hold["project"]] += hold["posted_micro"]
            if hold["state"] == 1 and left:
                self._wrong(f"hold {hold['id']} is closed with {left} left")
            if left < 0:
                self._wrong(f"hold {hold['id']} is overdrawn by {-left}")
        for row in self._taken():
            if row["refusal"] is None and row["kind"] == "top_up":
                credit[row["body"]["project"]] += row["body"]["amount_micro"]
            if row["refusal"] is None and row["kind"] == "project":
                credit[row["id"]] += row["body"]["trial_micro"]
        for account in self._rows("account"):
            owner, kind = account["owner"], account["kind"]
            expected = {
                WALLET: credit[owner] - spent[owner] - open_micro[owner],
                ESCROW: open_micro[owner],
                ISSUANCE: -sum(credit.values()),
            }.get(kind)
            balance = self._balance(account["id"])
            if expected is not None and balance != expected:
                self._wrong(f"account {account} holds {balance}, not {expected}")

    def _balance(self, account: int) -> int:
        kept = (r["amount_micro"] for r in self._rows("balance") if r["account"] == account)
        return next(kept, 0)

    def _capacity(self, is_resting: bool) -> None:
        """No node is oversold, no task has two attempts alive, and at rest no gang is broken."""
        alive = [lease for lease in self._rows("lease") if lease["state"] in ALIVE]
        for node in self._rows("node"):
            here = [lease for lease in alive if lease["node"] == node["id"]]
            run = [lease for lease in here if lease["observed"] < FINISHING]
            for what in ("cpus_milli", "memory_bytes", "disk_bytes"):
                holds = here if what == "disk_bytes" else run
                if sum(lease[what] for lease in holds) > node[what]:
                    self._wrong(f"node {node['id']} is oversold in {what}")
        for task, count in Counter(lease["task"] for lease in alive).items():
            if count > 1:
                self._wrong(f"task {task} has {count} attempts alive")
        if not is_resting:
            return
        for job in self._rows("job"):
            if job["is_gang"] and job["state"] in (JOB_QUEUED, JOB_RUNNING):
                staying = [x for x in alive if x["job"] == job["id"] and x["state"] in (0, 1)]
                tasks = [t for t in self._rows("task") if t["job"] == job["id"]]
                waiting = [t for t in tasks if t["state"] == TASK_QUEUED]
                if staying and waiting:
                    self._wrong(f"gang {job['id']}: {len(staying)} stay, {len(waiting)} wait")

    def _holds_cover(self) -> None:
        """A hold covers its lease to the end and grace, at a price and size that were agreed."""
        holds, offers = self._by_id("hold"), self._by_id("offer")
        for lease in self._rows("lease"):
            hold, offer = holds.get(lease["id"]), offers[lease["offer"]]
            price = lease["price_micro_per_unit_h"]
            if (offer["pool"], offer["price_micro_per_unit_h"]) != (lease["pool"], price):
                self._wrong(f"lease {lease['id']} pays another price than its offer {offer['id']}")
            if hold is None:
                self._wrong(f"lease {lease['id']} has no hold")
                continue
            ms = lease["until"] - lease["placed_at"] - lease["waited_ms"] + offer["grace_s"] * 1000
            spare = hold["amount_micro"] - cost(ms, lease["units_milli"], price)
            # What began late, after its site's queue, keeps what was held for its whole run.
            if spare < 0 or (spare and not lease["waited_ms"]):
                self._wrong(f"hold {hold['id']} is {hold['amount_micro']} for {ms} ms")
            if hold["posted_micro"] != lease["charged_micro"]:
                self._wrong(f"hold {hold['id']} paid {hold['posted_micro']}: not what was charged")
            if (hold["state"] == 0) != (lease["state"] in (*ALIVE, LEASE_ENDED)):
                self._wrong(f"hold {hold['id']} and its lease do not end together")

    # What the whole history must be.

    def _taken(self) -> list[Row]:
        """Return the inbox rows that rounds took, in the order in which they took them."""
        if "taken" not in self._tables:
            rows = [row for row in self._rows("inbox") if row["taken_round"]]
            rows.sort(key=lambda row: (row["taken_round"], row["id"]))
            for row in rows:
                row["body"] = json.loads(row["body"]) if isinstance(row["body"], str) else {}
                answer = json.loads(row["answer"]) if row["answer"] else {}
                row["refusal"] = answer.get("refusal")
            self._tables["taken"] = [dict(row) for row in rows]
        return self._tables["taken"]

    def _asks(self, truth: Truth, is_end: bool) -> None:
        """Every acknowledged request is there once, and has had its effect once."""
        keys = {row["idempotency_key"]: row for row in self._rows("inbox")}
        for ask in truth.asks:
            row = keys.get(ask.key)
            forgotten = any(at <= ask.acknowledged_at <= till for at, till in truth.restores)
            if row is None:
                if ask.acknowledged_at and not forgotten:
                    self._wrong(f"{ask.key} was acknowledged as {ask.number} and is not there")
                continue
            if ask.number and row["id"] != ask.number and not forgotten:
                self._wrong(f"{ask.key} is row {row['id']}, acknowledged as {ask.number}")
            if is_end and not row["taken_round"]:
                self._wrong(f"{ask.key} was never taken")
        for row in self._rows("inbox"):
            if row["taken_round"] == 0:
                self._wrong(f"row {row['id']} ({row['kind']}) was laid aside: our mistake")
        self._effects()

    def _effects(self) -> None:
        """What was granted is there, and nothing else is; what was not granted has a reason."""
        texts = _texts()
        made: dict[str, set[int]] = defaultdict(set)
        expected = Counter[tuple[int, int]]()
        for row in self._taken():
            if row["refusal"] is not None:
                if row["refusal"]["code"] not in texts["refusal"]:
                    self._wrong(f"row {row['id']} is refused without words: {row['refusal']}")
                continue
            made[row["kind"]].add(row["id"])
            if row["kind"] == "top_up":
                expected[TOP_UP, row["id"]] += 1
            if row["kind"] == "project" and row["body"]["trial_micro"]:
                expected[TRIAL, row["id"]] += 1
        for kind in ("job", "quote", "project", "provider"):
            if set(self._by_id(kind)) != made[kind]:
                self._wrong(f"{kind}s are not those that were granted")
        booked = Counter(
            (row["kind"], row["reference"])
            for row in self._rows("ledger_transaction")
            if row["kind"] in (TOP_UP, TRIAL)
        )
        if booked != expected:
            self._wrong(f"credit booked {booked - expected} too often, {expected - booked} never")
        counts = Counter(task["job"] for task in self._rows("task"))
        for job in self._rows("job"):
            if counts[job["id"]] != job["task_count"]:
                self._wrong(f"job {job['id']} has {counts[job['id']]} of {job['task_count']} tasks")

    def _results(self) -> None:
        """One result for each task that is done, from its latest attempt, which ended well."""
        leases = defaultdict(list)
        for lease in self._rows("lease"):
            leases[lease["task"]].append(lease)
        for task in self._rows("task"):
            tokens = sorted(lease["token"] % 2**20 for lease in leases[task["id"]])
            if len(set(tokens)) != len(tokens):
                self._wrong(f"task {task['id']}: tokens {tokens}")
            results = [lease for lease in leases[task["id"]] if lease["is_result"]]
            is_done = task["state"] == TASK_ENDED and task["outcome"] == DONE
            if len(results) != int(is_done):
                self._wrong(f"task {task['id']} has {len(results)} results")
            if any(lease["id"] > results[0]["id"] for lease in leases[task["id"]] if results):
                self._wrong(f"task {task['id']} was tried again after its result")

    def _charges(self, truth: Truth) -> None:
        """Every lease that has ended cost what its meters say, once, in the slices of the grid."""
        round_at = {row["number"]: row["at"] for row in self._rows("round")}
        leases = self._by_id("lease")
        heard = Heard(self._taken(), leases, round_at)
        closes: dict[int, int] = {}
        for row in self._rows("ledger_transaction"):
            if row["kind"] in (CHARGE, RELEASE):
                closes[row["lease"]] = row["at"]
        fees, earned = 0, Counter[int]()
        pools = self._by_id("pool")
        for lease in leases.values():
            if lease["state"] != SETTLED:
                self._not_too_much(heard, lease)
                continue
            found = self._predicted(heard, lease, closes.get(lease["id"], 0))
            self._settled(lease, found)
            self._truly(heard, lease, truth)
            fee = found.fees(self._policy.fee_ppm)
            fees += fee
            earned[pools[lease["pool"]]["provider"]] += found.total - fee
        if all(lease["state"] == SETTLED for lease in leases.values()) and not self._faults:
            self._income(fees, earned)

    def _income(self, fees: int, earned: Counter[int]) -> None:
        for account in self._rows("account"):
            expected = {EARNINGS: earned[account["owner"]], FEES: fees}.get(account["kind"])
            balance = self._balance(account["id"])
            if expected is not None and balance != expected:
                self._wrong(f"account {account} has {balance}, by the meters {expected}")

    def _predicted(self, heard: Heard, lease: Row, closed_at: int) -> Predicted:
        """Return what a lease must have cost; one that was given up, by what was heard before."""
        slice_ms = self._policy.slice_s * 1000
        meters = heard.meters(lease)
        if lease["cause"] != LOST or lease["observed"] == LEASE_ENDED:
            return predict(meters, lease, slice_ms)
        rounds = heard.rounds_at(closed_at)
        may_be = [predict(heard.meters(lease, last), lease, slice_ms) for last in rounds]
        self._rightly_given_up(heard, lease, closed_at, rounds)
        right = [found for found in may_be if found.total == lease["charged_micro"]]
        return (right or may_be or [predict(meters, lease, slice_ms)])[0]

    def _rightly_given_up(self, heard: Heard, lease: Row, at: int, rounds: list[int]) -> None:
        """Nobody could be running under it any more, by the network's clock."""
        job = next(r for r in self._taken() if r["id"] == lease["job"])
        policy = self._policy
        margin_ms = (max(policy.grace_s, lease["grace_s"]) + policy.margin_s) * 1000
        silent_ms = at - heard.last_seen(lease["pool"], max(rounds, default=0))
        may_move = job["body"]["request"].get("on_partition") == "move"
        is_silent = may_move and silent_ms > policy.renew_for_s * 1000 + margin_ms
        if at <= lease["until"] + margin_ms and not is_silent:
            self._wrong(f"lease {lease['id']} was given up at {at} while it may run")

    def _settled(self, lease: Row, found: Predicted) -> None:
        if lease["charged_micro"] != found.total:
            self._wrong(
                f"lease {lease['id']} was charged {lease['charged_micro']}, by its meters "
                f"{found.total} for {found.paid_ms} ms"
            )
        records = [r for r in self._rows("usage_record") if r["lease"] == lease["id"]]
        records.sort(key=lambda record: record["slice_index"])
        if [r["slice_index"] for r in records] != list(range(len(records))):
            self._wrong(f"lease {lease['id']} has slices missing or doubled")
        if [r["is_final"] for r in records] != [0] * (len(records) - 1) + [1]:
            self._wrong(f"lease {lease['id']} has not exactly one last record")
        amounts = [r["amount_micro"] for r in records if r["amount_micro"]]
        if amounts != [amount for amount in found.amounts if amount]:
            self._wrong(f"lease {lease['id']} was paid in {amounts}, not {found.amounts}")
        charges = self._of_lease(CHARGE).get(lease["id"], [])
        if len(charges) != len(amounts) or sum(charges) != found.total:
            self._wrong(f"lease {lease['id']}: charges {charges} for records {amounts}")
        held, given = self._of_lease(HOLD), self._of_lease(RELEASE)
        rest = sum(held.get(lease["id"], [])) - found.total
        if given.get(lease["id"], []) != ([rest] if rest else []):
            self._wrong(f"lease {lease['id']}: {given.get(lease['id'])} released, {rest} left")

    def _of_lease(self, kind: int) -> dict[int, list[int]]:
        """Return the amounts of every transaction of one kind, by lease."""
        name = f"amounts {kind}"
        if name not in self._tables:
            sums = Counter[int]()
            for posting in self._rows("posting"):
                sums[posting["transaction"]] += posting["amount_micro"]
            found: dict[int, list[int]] = defaultdict(list)
            for row in self._rows("ledger_transaction"):
                if row["kind"] == kind:
                    found[row["lease"]].append(sums[row["id"]])
            self._tables[name] = [found]  # type: ignore[list-item]
        return self._tables[name][0]  # type: ignore[return-value]

    def _not_too_much(self, heard: Heard, lease: Row) -> None:
        found = predict(heard.meters(lease), lease, self._policy.slice_s * 1000)
        if lease["charged_micro"] > found.total:
            self._wrong(f"lease {lease['id']} paid {lease['charged_micro']} before its time")

    def _truly(self, heard: Heard, lease: Row, truth: Truth) -> None:
        """What was paid for did run, and what counts as done was done, on the machines."""
        runs = [
            run
            for run in truth.runs
            if run.pool == lease["pool"]
            and (decode("lease", run.lease), run.token) == (lease["id"], lease["token"])
            and run.body is not None
            and decode("job", run.job) == lease["job"]
        ]
        ran_ms = max((run.ran_ms(truth.now) for run in runs), default=0)
        meters = heard.meters(lease)
        if meters.agent_ms > ran_ms:
            self._wrong(f"lease {lease['id']} was reported {meters.agent_ms} ms, ran {ran_ms}")
        is_done = any(run.cause == "exited" and run.exit_code == 0 for run in runs)
        if lease["is_result"] and not is_done:
            self._wrong(f"lease {lease['id']} has a result and did not end well")

    def _machines(self, truth: Truth) -> None:
        """On the machines no two attempts of a task overlap, and no node has more than it has."""
        by_task: dict[tuple[str, int], list[Run]] = defaultdict(list)
        for run in truth.runs:
            if run.began_at and run.began_at <= truth.now:
                by_task[run.job, run.task].append(run)
        for (job, task), runs in by_task.items():
            runs.sort(key=lambda run: (run.began_at, run.ends_at))
            for first, second in pairwise(runs):
                if min(first.ends_at, truth.now) > second.began_at and not _excused(
                    first, second, truth
                ):
                    self._wrong(f"{job}/{task}: {first.lease} still ran as {second.lease} began")
        room = {
            pool: sum(node["cpus_milli"] for node in self._rows("node") if node["pool"] == pool)
            for pool in {run.pool for run in truth.runs}
        }
        for run in truth.runs:
            beside = [
                other
                for other in truth.runs
                if other.pool == run.pool
                and other.began_at
                and other.began_at <= run.began_at < min(other.ends_at, truth.now)
            ]
            if run.began_at and _cpus(beside) > room[run.pool]:
                self._wrong(f"pool {run.pool} runs {_cpus(beside)} of {room[run.pool]} milli-cores")

    def _all_over(self, truth: Truth) -> None:
        """Everything has settled; nothing runs, nothing is held."""
        for job in self._rows("job"):
            if job["state"] != SETTLED:
                self._wrong(f"job {job['id']} never settled: {job}")
        for account in self._rows("account"):
            if account["kind"] == ESCROW and self._balance(account["id"]):
                self._wrong(f"escrow {account} still holds {self._balance(account['id'])}")
        for run in truth.runs:
            if run.began_at and not run.is_over:
                self._wrong(f"{run.lease} of {run.job} runs on, unpaid")


def _excused(first: Run, second: Run, truth: Truth) -> bool:
    """Clocks that jumped further than the margins, or a restore that forgot the first."""
    jumped_ms = sum(abs(ms) for _, ms in truth.jumps)
    return jumped_ms > 4_000 or any(at <= first.claimed_at <= till for at, till in truth.restores)


def _cpus(runs: list[Run]) -> int:
    return sum(run.body.cpus_milli for run in runs if run.body is not None)


def _texts() -> dict[str, dict[str, str]]:
    import intertie

    path = Path(intertie.__file__).parent / "catalogue" / "texts" / "en.json"
    found: dict[str, dict[str, str]] = json.loads(path.read_text())
    return found
