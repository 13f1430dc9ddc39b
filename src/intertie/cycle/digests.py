"""The digests of each pool's leases, kept in step with every change of a lease.

A digest is a sum of marks, so that it costs what changed and not what is there.
"""

from collections import Counter

from intertie.model.lease import Lease
from intertie.model.rows import changed
from intertie.model.states import RUNNING, LeaseState
from intertie.run.reconciling import ALIVE
from intertie.wire.digest import MODULUS, lease_mark
from intertie.world.changes import Changes
from intertie.world.world import World


def keep_digests(world: World, changes: Changes) -> None:
    """Bring the pools of the leases that a step has changed up to date; its last word."""
    observed: Counter[int] = Counter()
    wanted: Counter[int] = Counter()
    for (noun, number), lease in changes.rows.items():
        if noun != "Lease":
            continue
        before = world.leases.find(number)
        for sums, key in ((observed, observed_key), (wanted, wanted_key)):
            was, now = key(before) if before else None, key(lease)
            if was != now:
                sums[lease.pool] += (lease_mark(*now) if now else 0) - (
                    lease_mark(*was) if was else 0
                )
    for number in sorted({*observed, *wanted}):
        pool = changes.rows.get(("Pool", number)) or world.pools.get(number)
        changes.put(
            changed(
                pool,
                observed_digest=(pool.observed_digest + observed[number]) % MODULUS,
                wanted_digest=(pool.wanted_digest + wanted[number]) % MODULUS,
            )
        )


def observed_key(lease: Lease) -> tuple[int, ...] | None:
    """Return what is marked of a lease that its agent should see as pending or running."""
    is_seen = lease.is_taken and lease.observed <= RUNNING and lease.state in ALIVE
    return (lease.id, lease.token) if is_seen else None


def wanted_key(lease: Lease) -> tuple[int, ...] | None:
    """Return what is marked of a lease that should run or is told to stop."""
    if lease.state in (LeaseState.PLACED, LeaseState.RUNNING):
        return lease.id, lease.token, lease.until
    if lease.state == LeaseState.STOPPING:
        return lease.id, lease.token, -lease.stop_cause
    return None
