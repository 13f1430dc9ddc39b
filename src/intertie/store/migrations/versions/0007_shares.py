"""Shares: cohorts, quotas and floors; the priority of a job"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = {
    "project": ("cohort", "floor_ppm", "served_at"),
    "job": ("priority",),
}
DOCUMENT = sa.table("document", *map(sa.column, ("kind", "number", "body")))
INBOX = sa.table("inbox", *map(sa.column, ("id", "kind", "body", "taken_round")))
NETWORK = sa.table("network", *map(sa.column, ("id", "policy")))
OWN_KINDS = ("cohort", "share", "shares")
OWN_POLICY = ("share_by", "order", "starved_s")
ASKED = ("request", "asked")


def upgrade() -> None:
    """Add the columns and the cohorts; nobody is in one, and no job states a priority."""
    for table, names in COLUMNS.items():
        for name in names:
            number = sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)
            op.add_column(table, number)
    op.create_table(
        "cohort",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False, primary_key=True),
        *(
            sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)
            for name in ("parent", "weight", "floor_ppm")
        ),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.Column("changed_round", sa.BigInteger(), server_default="0", nullable=False),
    )


def downgrade() -> None:
    """Drop all of it, and from documents and waiting rows what the older release cannot read."""
    connection = op.get_bind()
    own = DOCUMENT.c.kind.in_(("quota", "cohort", "cohort_quota"))
    connection.execute(sa.delete(DOCUMENT).where(own))
    asked = sa.select(DOCUMENT).where(DOCUMENT.c.kind.in_(ASKED))
    for row in connection.execute(asked).all():
        here = (DOCUMENT.c.kind == row.kind) & (DOCUMENT.c.number == row.number)
        if (body := _without(row.body, "priority")) is not None:
            connection.execute(sa.update(DOCUMENT).where(here).values(body=body))
    waiting = INBOX.c.taken_round.is_(None)
    connection.execute(sa.delete(INBOX).where(waiting & INBOX.c.kind.in_(OWN_KINDS)))
    for row in connection.execute(sa.select(INBOX).where(waiting)).all():
        said = json.loads(row.body)
        if "request" in said and said["request"].pop("priority", None) is not None:
            body = json.dumps(said, separators=(",", ":"), ensure_ascii=False)
            connection.execute(sa.update(INBOX).where(INBOX.c.id == row.id).values(body=body))
    for row in connection.execute(sa.select(NETWORK)).all():
        if (policy := _without(row.policy, *OWN_POLICY)) is not None:
            here = NETWORK.c.id == row.id
            connection.execute(sa.update(NETWORK).where(here).values(policy=policy))
    op.drop_table("cohort")
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)


def _without(text: str, *names: str) -> str | None:
    """Return a document without some of its fields; None where it has none of them."""
    said = json.loads(text)
    if not said.keys() & set(names):
        return None
    kept = {name: value for name, value in said.items() if name not in names}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
