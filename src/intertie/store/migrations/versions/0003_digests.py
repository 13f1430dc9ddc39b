"""The digests of a pool's leases, as sums of marks"""

from collections import Counter
from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DIGESTS = ("observed_digest", "wanted_digest")
STOPPING = 2


def upgrade() -> None:
    """Add the sums, counted over the leases that are alive."""
    for name in DIGESTS:
        op.add_column("pool", sa.Column(name, sa.BigInteger(), server_default="0", nullable=False))
    observed: Counter[int] = Counter()
    wanted: Counter[int] = Counter()
    alive = sa.text(
        "SELECT id, token, pool, state, stop_cause, until, observed, is_taken FROM lease"
        f" WHERE state <= {STOPPING} AND is_retired = 0"
    )
    connection = op.get_bind()
    for lease in connection.execute(alive):
        until = -lease.stop_cause if lease.state == STOPPING else lease.until
        wanted[lease.pool] += _mark(lease.id, lease.token, until)
        if lease.is_taken and lease.observed <= 1:
            observed[lease.pool] += _mark(lease.id, lease.token)
    pools = sa.table("pool", sa.column("id"), *(sa.column(name) for name in DIGESTS))
    for pool in wanted:
        sums = {name: s[pool] % 2**63 for name, s in zip(DIGESTS, (observed, wanted), strict=True)}
        connection.execute(sa.update(pools).where(pools.c.id == pool).values(**sums))


def downgrade() -> None:
    for name in DIGESTS:
        op.drop_column("pool", name)


def _mark(*numbers: int) -> int:
    """Return `wire.digest.lease_mark` as it was when this migration was written."""
    text = ",".join(map(str, numbers)).encode("ascii")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big") % 2**63
