"""One leader by its term, the round that changed a row, what was pruned, and webhooks"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DECIDED = (
    "account",
    "hold",
    "job",
    "lease",
    "node",
    "offer",
    "pool",
    "project",
    "provider",
    "quote",
    "task",
    "usage_record",
)


def upgrade() -> None:
    """Add what several processes need; every row that is there counts as changed in round 0."""
    for name in DECIDED:
        op.add_column(name, _round_of("changed_round"))
    op.add_column("network", _round_of("pruned_round"))
    op.create_index("lease_by_change", "lease", ["pool", "changed_round"])
    op.create_index("pool_by_change", "pool", ["changed_round"])
    op.drop_index("inbox_waiting", "inbox")
    is_waiting = sa.text("taken_round IS NULL")
    op.create_index(
        "inbox_waiting", "inbox", ["id"], sqlite_where=is_waiting, postgresql_where=is_waiting
    )
    _leadership()
    _webhook()


def downgrade() -> None:
    op.drop_table("webhook")
    op.drop_table("leadership")
    op.drop_index("inbox_waiting", "inbox")
    op.create_index("inbox_waiting", "inbox", ["taken_round", "id"])
    op.drop_index("pool_by_change", "pool")
    op.drop_index("lease_by_change", "lease")
    for name in DECIDED:
        op.drop_column(name, "changed_round")
    op.drop_column("network", "pruned_round")


def _round_of(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default="0", nullable=False)


def _leadership() -> None:
    op.create_table(
        "leadership",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.execute("INSERT INTO leadership (id, term, holder, until_at) VALUES (1, 0, '', 0)")


def _webhook() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "webhook",
        sa.Column("id", number, autoincrement=True, nullable=False),
        sa.Column("project", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("codes", sa.Text(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("webhook_by_project", "webhook", ["project"])
