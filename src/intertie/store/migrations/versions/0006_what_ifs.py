"""What-ifs: what operators asked to live through again, and what was found"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what-ifs; nobody has asked yet."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "what_if",
        sa.Column("id", number, autoincrement=True, nullable=False),
        *(_number(name) for name in ("asked_at", "noted_at", "since", "until")),
        *(_text(name) for name in ("policy", "state")),
        *(_number(name) for name in ("done", "total")),
        *(_text(name) for name in ("result", "error")),
        sa.Column("idempotency_key", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("idempotency_key"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("what_if")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)
