"""The snapshot one decision may read, and the only way to change it."""

from typing import Any

from intertie.model import (
    forecast,
    job,
    lease,
    ledger,
    offer,
    parties,
    quote,
    request,
    shares,
    sizing,
)
from intertie.world.kins import Kins
from intertie.world.table import Table

NOUNS: tuple[type[Any], ...] = (
    parties.Project,
    parties.Provider,
    parties.Pool,
    parties.Node,
    offer.Offer,
    quote.Quote,
    job.Job,
    job.Task,
    lease.Lease,
    lease.Hold,
    ledger.Account,
    shares.Cohort,
)
# The documents that each noun owns: they live and leave with its row.
DOCUMENTS: dict[str, dict[str, type[Any]]] = {
    "Project": {
        "project": parties.Named,
        "history": sizing.History,
        "missed": forecast.Missed,
        "quota": shares.Quotas,
    },
    "Cohort": {"cohort": parties.Named, "cohort_quota": shares.Quotas},
    "Provider": {"provider": parties.Named},
    "Pool": {"pool": parties.PoolFacts, "agent": parties.AgentKey},
    "Quote": {"quote": quote.QuoteTerms, "asked": request.Request},
    "Job": {"request": request.Request, "contract": job.Contract, "expected": forecast.Expected},
    "Task": {"result": job.Manifest, "checkpoint": job.Manifest},
    "Lease": {"attempt": lease.Attempted},
}
DOCUMENT_TYPES = {kind: each for kinds in DOCUMENTS.values() for kind, each in kinds.items()}


# What `derived.py` keeps beside the rows: sums and counts that a step would else walk rows for.
TASK_TALLIES = ("held", "queued", "placed", "running", "ended")
JOB_SUMS = (*TASK_TALLIES, "failed", "cancelled", "alive", "unsettled", "first_task", "next_task")
ROOM = ("cpus_milli", "memory_bytes", "disk_bytes", "device_count")
NODE_SUMS = tuple(f"held_{name}" for name in ROOM)
# What owners limit by the pool; disk only nodes do.
LENT = ("cpus_milli", "memory_bytes", "device_count")
POOL_SUMS = (*NODE_SUMS, *(f"staying_{name}" for name in LENT), "offer")


class World:
    """Tables by noun, documents by (kind, id), balances by account.

    Balances are Python integers: settled money never enters a kernel. What is derived (sums beside
    rows, `kins`, ids by name, accounts by kind and owner) is counted again after a load, while
    `is_derived` is still False. `memo` is where steps keep what is costly to find again: a World
    without it decides the same. What is kept there stands while `supply` is the same number (who
    offers what at which terms) and `room` (who runs where and until when).
    """

    def __init__(self) -> None:
        self.projects: Table[parties.Project] = Table(parties.Project)
        self.providers: Table[parties.Provider] = Table(parties.Provider)
        self.pools: Table[parties.Pool] = Table(parties.Pool, (), POOL_SUMS)
        self.nodes: Table[parties.Node] = Table(parties.Node, ("pool",), NODE_SUMS)
        self.offers: Table[offer.Offer] = Table(offer.Offer, ("pool",))
        self.quotes: Table[quote.Quote] = Table(quote.Quote)
        self.jobs: Table[job.Job] = Table(job.Job, (), (*JOB_SUMS, "kin", "deadline_at"))
        self.tasks: Table[job.Task] = Table(job.Task)
        self.leases: Table[lease.Lease] = Table(
            lease.Lease, ("job", "pool", "project"), ("job_slot", "pool_slot")
        )
        self.holds: Table[lease.Hold] = Table(lease.Hold)
        self.accounts: Table[ledger.Account] = Table(ledger.Account, ("owner",))
        self.cohorts: Table[shares.Cohort] = Table(shares.Cohort)
        self.documents: dict[tuple[str, int], Any] = {}
        self.balances: dict[int, int] = {}
        self.next: dict[str, int] = {}
        self.kins = Kins()
        self.names: dict[tuple[str, str], int] = {}
        self.owned: dict[tuple[int, int], int] = {}
        self.is_derived = False
        self.supply, self.room = 0, 0
        self.memo: dict[str, Any] = {}
        tables = (v for v in vars(self).values() if isinstance(v, Table))
        self._tables = {table.noun.__name__: table for table in tables}

    def tables(self) -> dict[str, Table[Any]]:
        """Return every table by its noun's name."""
        return self._tables
