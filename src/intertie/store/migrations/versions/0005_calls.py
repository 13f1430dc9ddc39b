"""Calls: who waits at a door to speak with a session"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the calls; there are none yet."""
    op.create_table(
        "session_call",
        sa.Column("nonce", sa.Text(), nullable=False, primary_key=True),
        *(_number(name) for name in ("pool", "lease", "token")),
        sa.Column("url", sa.Text(), nullable=False),
        _number("until"),
    )


def downgrade() -> None:
    op.drop_table("session_call")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False)
