"""Run, first half: believe what agents say of their pools and leases before anything is decided."""

from typing import Any

from intertie.cycle.digests import keep_digests, observed_key
from intertie.cycle.inbox import InboxRow
from intertie.cycle.tasks import end_attempt
from intertie.cycle.views import facts_of, listed_offer
from intertie.model.ids import decode, encode
from intertie.model.job import FileEntry, Manifest
from intertie.model.lease import Attempted, Lease
from intertie.model.meter import Observation, Sample
from intertie.model.offer import Offer
from intertie.model.parties import Node, Pool, PoolFacts, device_code
from intertie.model.plain import from_plain
from intertie.model.policy import Policy
from intertie.model.refusal import Refusal
from intertie.model.rows import changed
from intertie.model.states import LeaseState, OfferState, Outcome, PoolState, TaskState, advance
from intertie.run.observing import CAUSE_WORDS, STATE_WORDS, observe, outcome_of
from intertie.wire.digest import digest_text, observation_digest
from intertie.world.changes import Changes
from intertie.world.world import World


def believe(world: World, row: InboxRow, policy: Policy, now: int) -> Changes:
    """Return what one session or sync says, folded into its pool and leases."""
    if row.kind == "session":
        return _session(world, row, policy)
    if row.kind == "sync":
        return _sync(world, row, policy)
    return Changes()


def _session(world: World, row: InboxRow, policy: Policy) -> Changes:
    changes = Changes()
    pool = world.pools.find(row.actor)
    if pool is None or pool.state == PoolState.LEFT:
        changes.answer(row.id, _nobody(pool, row))
        return changes
    facts = from_plain(PoolFacts, row.body["pool"])
    fresh = changed(
        pool,
        state=PoolState.ONLINE,
        epoch=pool.epoch + 1,
        sequence=0,
        seen_at=row.at,
        renew_for_s=policy.renew_for_s,
        wants_full=1,
        lent_cpus_milli=facts.terms.lent_cpus_milli,
        lent_memory_bytes=facts.terms.lent_memory_bytes,
        lent_device_count=facts.most_devices,
        is_draining=0,
    )
    changes.put(fresh)
    changes.document("pool", pool.id, facts)
    _nodes(world, changes, pool.id, facts)
    _offer(world, changes, pool.id, facts, row.at)
    changes.answer(row.id, agent=pool.id, epoch=fresh.epoch)
    return changes


def _nodes(world: World, changes: Changes, pool: int, facts: PoolFacts) -> None:
    """Nodes keep their number by index, so that leases stay on theirs when an agent comes back."""
    known = {node.index: node for node in world.nodes.where(pool=pool)}
    number = world.next.get("Node", 1)
    for index, said in enumerate(facts.nodes):
        if index not in known:
            number += 1
        changes.put(
            Node(
                id=known[index].id if index in known else number - 1,
                pool=pool,
                index=index,
                cpus_milli=said.cpus_milli,
                memory_bytes=said.memory_bytes,
                disk_bytes=said.disk_bytes,
                device_count=said.device_count,
                machine_count=said.machine_count,
                device_class=device_code(said.device_class),
            )
        )
    changes.retire("Node", *(node.id for i, node in known.items() if i >= len(facts.nodes)))


def _offer(world: World, changes: Changes, pool: int, facts: PoolFacts, at: int) -> None:
    """List a new version when price, speed or grace changed.

    What was sold keeps its own version.
    """
    score = facts.scores[0] if facts.scores else None
    said = Offer(
        id=world.next.get("Offer", 1),
        pool=pool,
        version=1,
        state=OfferState.LISTED,
        price_micro_per_unit_h=facts.terms.price_micro_per_unit_h,
        score_millionths=score.millionths if score else 0,
        is_measured=int(score is not None and score.source == "measured"),
        grace_s=facts.terms.grace_s,
        listed_at=at,
    )
    listed = listed_offer(world, pool)
    if listed is None:
        changes.put(said)
        return
    if changed(said, id=listed.id, version=listed.version, listed_at=listed.listed_at) == listed:
        return
    changes.put(changed(listed, state=advance(OfferState(listed.state), OfferState.DELISTED)))
    changes.put(changed(said, version=listed.version + 1))


def _sync(world: World, row: InboxRow, policy: Policy) -> Changes:
    changes = Changes()
    pool = world.pools.find(row.actor)
    body = row.body
    if pool is None or pool.state == PoolState.LEFT:
        changes.answer(row.id, _nobody(pool, row))
        return changes
    if body["epoch"] != pool.epoch:
        changes.answer(row.id, Refusal("fenced_out", {"epoch": body["epoch"], "now": pool.epoch}))
        return changes
    if body["sequence"] <= pool.sequence:
        changes.answer(row.id, agent=pool.id)
        return changes
    for said in body["leases"]:
        _lease(world, changes, pool, said, row.at, policy)
    for said in body["declines"]:
        ended = {"state": "ended", "cause": "declined", **said}
        _lease(world, changes, pool, ended, row.at, policy)
    keep_digests(world, changes)
    _waits(world, changes, pool, body["owner"].get("waits_s") or {})
    pool = changes.rows.get(("Pool", pool.id), pool)
    changes.put(_heard(world, changes, pool, body, row.at))
    changes.answer(row.id, agent=pool.id)
    return changes


def _nobody(pool: Pool | None, row: InboxRow) -> Refusal:
    values: dict[str, int | str] = {"agent": encode("agent", row.actor)}
    if pool is None:
        return Refusal("agent_unknown", values)
    return Refusal("agent_left", values)


def _heard(world: World, changes: Changes, pool: Pool, body: dict[str, Any], at: int) -> Pool:
    owner = body["owner"]
    devices = owner.get("lent_device_count")
    if devices is None:
        facts = facts_of(world, pool.id)
        devices = facts.most_devices if facts else 0
    return changed(
        pool,
        state=_spoken(pool, bool(owner["is_draining"])),
        sequence=body["sequence"],
        seen_at=at,
        wants_full=int(not _is_same(world, changes, pool, body["digest"])),
        lent_cpus_milli=owner["lent_cpus_milli"],
        lent_memory_bytes=owner["lent_memory_bytes"],
        lent_device_count=devices,
        is_draining=int(owner["is_draining"]),
    )


def _waits(world: World, changes: Changes, pool: Pool, waits_s: dict[str, int]) -> None:
    """Keep how long a task would wait at the site, by node; one that is not named has no wait."""
    facts = facts_of(world, pool.id)
    for node in world.nodes.where(pool=pool.id) if facts else ():
        assert facts is not None
        wait_s = waits_s.get(facts.nodes[node.index].name, 0)
        if wait_s != node.wait_s:
            changes.put(changed(node, wait_s=wait_s))


def _is_same(world: World, changes: Changes, pool: Pool, said: str) -> bool:
    """Return whether the agent sees the leases that are believed of its pool.

    An agent of protocol 1 says it in the old way, which must read them all.
    """
    if said == digest_text(pool.observed_digest):
        return True
    seen = {lease.id: lease for lease in world.leases.where(pool=pool.id)}
    seen.update({n: row for (noun, n), row in changes.rows.items() if noun == "Lease"})
    believed = (lease for lease in seen.values() if observed_key(lease))
    old = observation_digest((encode("lease", lease.id), lease.token) for lease in believed)
    return said == old


def _spoken(pool: Pool, is_draining: bool) -> PoolState:
    state = PoolState(pool.state)
    wanted = PoolState.DRAINING if is_draining else PoolState.ONLINE
    return state if state == wanted else advance(state, wanted)


def _lease(
    world: World, changes: Changes, pool: Pool, said: dict[str, Any], at: int, policy: Policy
) -> None:
    number = decode("lease", said["lease"])
    lease = changes.rows.get(("Lease", number)) or world.leases.find(number)
    # What is not this pool's, or speaks under an older token, is not believed; the door's
    # answer tells the agent to stop it.
    if lease is None or lease.pool != pool.id or lease.token != said["token"]:
        return
    exit_code = said.get("exit_code")
    seen = Observation(
        state=STATE_WORDS[said["state"]],
        cause=CAUSE_WORDS[said.get("cause", "none")],
        exit_code=-1 if exit_code is None else exit_code,
        signal=said.get("signal") or 0,
        started_at=said.get("started_at", 0),
        sample=Sample(
            ran_ms=said.get("ran_ms", 0),
            cpu_ms=said.get("cpu_ms", 0),
            memory_peak_bytes=said.get("memory_peak_bytes", 0),
            site_ms=said.get("site_ms", 0),
        ),
        expected_start_at=said.get("expected_start_at", 0),
    )
    told = _attempted(world, lease, said)
    if told not in (Attempted(), world.documents.get(("attempt", number))):
        changes.document("attempt", number, told)
    believed = changed(observe(lease, seen, at), is_taken=1)
    if believed == lease:
        return
    _files(world, changes, believed, said.get("files", []))
    changes.put(believed)
    task = changes.rows.get(("Task", lease.task)) or world.tasks.get(lease.task)
    if believed.state == LeaseState.RUNNING and task.state == TaskState.PLACED:
        changes.put(changed(task, state=advance(TaskState(task.state), TaskState.RUNNING)))
        changes.event(lease.job, "task_started", task=task.index, pool=pool.id, lease=lease.id)
    if believed.state == LeaseState.ENDED:
        end_attempt(world, changes, believed, policy, at)


def _attempted(world: World, lease: Lease, said: dict[str, Any]) -> Attempted:
    """Return what is to be kept of where it ran; that it is the node of its lease needs no word."""
    node, facts = world.nodes.find(lease.node), facts_of(world, lease.pool)
    name = facts.nodes[node.index].name if node and facts else ""
    there = said.get("node", "")
    return Attempted("" if there == name else there, said.get("image", ""))


def _files(world: World, changes: Changes, lease: Lease, files: list[dict[str, Any]]) -> None:
    """Accept the manifest of a task's latest attempt, while it runs and when it ends.

    Results of an attempt that ends without ending its task go; its checkpoint stays for the
    next, and stays when a later attempt leaves none.
    """
    if world.tasks.get(lease.task).lease != lease.id:
        return
    entries = [FileEntry(f["path"], f["sha256"], f["size_bytes"], f["kind"]) for f in files]
    results = tuple(entry for entry in entries if entry.kind == "result")
    saved = tuple(entry for entry in entries if entry.kind == "checkpoint")
    is_over = lease.state == LeaseState.ENDED
    if is_over and outcome_of(lease) == Outcome.NONE:
        results = ()
    if results or (is_over and ("result", lease.task) in world.documents):
        changes.document("result", lease.task, Manifest(results))
    if saved:
        changes.document("checkpoint", lease.task, Manifest(saved))
