"""Request: projects, providers, agents, credit and shares enter the network."""

from dataclasses import replace

from intertie.cycle.inbox import InboxRow
from intertie.cycle.sharing import open_cohort, set_share
from intertie.cycle.views import account_of, listed_offer
from intertie.ledger.booking import NETWORK_ACCOUNTS, credit
from intertie.model.ids import encode
from intertie.model.ledger import Account, AccountKind
from intertie.model.parties import AgentKey, Named, Pool, Project, Provider
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.states import OfferState, PoolState, advance
from intertie.run.reconciling import ALIVE
from intertie.world.changes import Changes
from intertie.world.derived import name_of_pool
from intertie.world.world import World


def enter(world: World, row: InboxRow, policy: Policy, now: int) -> Changes:
    """Return what one row about a party or its credit asks for."""
    changes = Changes()
    if row.kind in ("project", "provider"):
        _party(world, changes, row, now)
    elif row.kind == "agent":
        _agent(world, changes, row, policy)
    elif row.kind == "leave":
        _leave(world, changes, row)
    elif row.kind == "top_up":
        _top_up(world, changes, row, now)
    elif row.kind == "block":
        _block(world, changes, row)
    elif row.kind == "cohort":
        open_cohort(world, changes, row)
    elif row.kind == "share":
        set_share(world, changes, row)
    return changes


def _party(world: World, changes: Changes, row: InboxRow, now: int) -> None:
    name = row.body["name"]
    if (row.kind, name) in world.names:
        changes.answer(row.id, Refusal("name_taken", {"name": name}))
        return
    account = world.next.get("Account", 1)
    if not len(world.accounts):
        changes.put(*NETWORK_ACCOUNTS)
        account = len(NETWORK_ACCOUNTS) + 1
    changes.document(row.kind, row.id, Named(name))
    if row.kind == "provider":
        changes.put(Provider(row.id, 0), Account(account, AccountKind.EARNINGS, row.id))
        changes.answer(row.id, provider=row.id)
        return
    changes.put(
        Project(row.id, row.body["weight"], 0, now, 0),
        Account(account, AccountKind.WALLET, row.id),
        Account(account + 1, AccountKind.ESCROW, row.id),
    )
    if row.body["trial_micro"]:
        number = world.next.get("Transaction", 1)
        trial = credit(number, account, row.body["trial_micro"], True, row.id, now)
        changes.transactions.append(trial)
    changes.answer(row.id, project=row.id)


def _top_up(world: World, changes: Changes, row: InboxRow, now: int) -> None:
    project = row.body["project"]
    if project not in world.projects:
        changes.answer(row.id, Refusal("project_unknown", {"project": encode("project", project)}))
        return
    wallet = account_of(world, AccountKind.WALLET, project)
    number = world.next.get("Transaction", 1)
    changes.transactions.append(
        credit(number, wallet, row.body["amount_micro"], False, row.id, now)
    )
    changes.answer(row.id, project=project)


def _agent(world: World, changes: Changes, row: InboxRow, policy: Policy) -> None:
    """Enrol a key for a pool.

    A pool that has a key gets the new one: whoever held it is fenced out.
    """
    provider = row.actor
    if provider not in world.providers:
        changes.answer(
            row.id, Refusal("provider_unknown", {"provider": encode("provider", provider)})
        )
        return
    known = world.names.get(("agent", name_of_pool(provider, row.body["pool"])))
    number = known or row.id
    if known is None:
        changes.put(
            Pool(
                id=number,
                provider=provider,
                state=PoolState.JOINING,
                epoch=0,
                sequence=0,
                seen_at=0,
                renew_for_s=policy.renew_for_s,
                wants_full=1,
                lent_cpus_milli=0,
                lent_memory_bytes=0,
                is_draining=0,
            )
        )
    changes.document("agent", number, AgentKey(row.body["pool"], row.body["public_key"]))
    changes.answer(row.id, agent=number)


def _leave(world: World, changes: Changes, row: InboxRow) -> None:
    """Strike an agent's key off, once none of its leases runs; asked again the answer is the same.

    Its pool stays in the books that name it, and its name is free for another agent.
    """
    pool = world.pools.find(row.actor)
    if pool is None:
        changes.answer(row.id, Refusal("agent_unknown", {"agent": encode("agent", row.actor)}))
        return
    alive = sum(lease.state in ALIVE for lease in world.leases.where(pool=pool.id))
    if alive:
        changes.answer(row.id, Refusal("leases_left", {"count": alive}))
        return
    if pool.state != PoolState.LEFT:
        left = advance(PoolState(pool.state), PoolState.LEFT)
        changes.put(replace(pool, state=left, lent_cpus_milli=0, lent_memory_bytes=0))
        known = world.documents["agent", pool.id]
        changes.document("agent", pool.id, replace(known, public_key=""))
    offer = listed_offer(world, pool.id)
    if offer is not None:
        changes.put(replace(offer, state=advance(OfferState(offer.state), OfferState.DELISTED)))
    changes.answer(row.id, agent=pool.id)


def _block(world: World, changes: Changes, row: InboxRow) -> None:
    project = world.projects.find(row.body["project"])
    if project is None:
        known_as = encode("project", row.body["project"])
        changes.answer(row.id, Refusal("project_unknown", {"project": known_as}))
        return
    changes.put(replace(project, is_blocked=int(row.body["is_blocked"])))
    changes.answer(row.id, project=project.id)
