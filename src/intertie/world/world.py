"""The snapshot one decision may read, and the only way to change it."""

from typing import Any

from intertie.model import job, lease, ledger, offer, parties, quote, request, sizing
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
)
# The documents that each noun owns: they live and leave with its row.
DOCUMENTS: dict[str, dict[str, type[Any]]] = {
    "Project": {"project": parties.Named, "history": sizing.History},
    "Provider": {"provider": parties.Named},
    "Pool": {"pool": parties.PoolFacts, "agent": parties.AgentKey},
    "Quote": {"quote": quote.QuoteTerms, "asked": request.Request},
    "Job": {"request": request.Request, "contract": job.Contract},
    "Task": {"result": job.Manifest, "checkpoint": job.Manifest},
}
DOCUMENT_TYPES = {kind: each for kinds in DOCUMENTS.values() for kind, each in kinds.items()}


class World:
    """Tables by noun, documents by (kind, id), balances by account.

    Balances are Python integers: settled money never enters a kernel.
    """

    def __init__(self) -> None:
        self.projects: Table[parties.Project] = Table(parties.Project)
        self.providers: Table[parties.Provider] = Table(parties.Provider)
        self.pools: Table[parties.Pool] = Table(parties.Pool)
        self.nodes: Table[parties.Node] = Table(parties.Node)
        self.offers: Table[offer.Offer] = Table(offer.Offer)
        self.quotes: Table[quote.Quote] = Table(quote.Quote)
        self.jobs: Table[job.Job] = Table(job.Job)
        self.tasks: Table[job.Task] = Table(job.Task)
        self.leases: Table[lease.Lease] = Table(lease.Lease)
        self.holds: Table[lease.Hold] = Table(lease.Hold)
        self.accounts: Table[ledger.Account] = Table(ledger.Account)
        self.documents: dict[tuple[str, int], Any] = {}
        self.balances: dict[int, int] = {}
        self.next: dict[str, int] = {}

    def tables(self) -> dict[str, Table[Any]]:
        """Return every table by its noun's name."""
        every = (v for v in vars(self).values() if isinstance(v, Table))
        return {table.noun.__name__: table for table in every}
