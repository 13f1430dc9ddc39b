"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table, parents of indexes first."""
    _account()
    _balance()
    _blob_owner()
    _credential()
    _document()
    _event()
    _hold()
    _inbox()
    _job()
    _lease()
    _ledger_transaction()
    _network()
    _node()
    _offer()
    _pool()
    _posting()
    _project()
    _provider()
    _quote()
    _round()
    _task()
    _usage_record()


def downgrade() -> None:

    with op.batch_alter_table("usage_record", schema=None) as batch_op:
        batch_op.drop_index("usage_once")
        batch_op.drop_index("usage_by_job")

    op.drop_table("usage_record")
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.drop_index("task_by_job")

    op.drop_table("task")
    op.drop_table("round")
    op.drop_table("quote")
    op.drop_table("provider")
    op.drop_table("project")
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.drop_index("posting_by_source")
        batch_op.drop_index("posting_by_destination")

    op.drop_table("posting")
    op.drop_table("pool")
    op.drop_table("offer")
    op.drop_table("node")
    op.drop_table("network")
    op.drop_table("ledger_transaction")
    with op.batch_alter_table("lease", schema=None) as batch_op:
        batch_op.drop_index("lease_by_pool")
        batch_op.drop_index("lease_by_job")

    op.drop_table("lease")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("job_by_project")

    op.drop_table("job")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index("inbox_waiting")

    op.drop_table("inbox")
    op.drop_table("hold")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("event_by_job")

    op.drop_table("event")
    op.drop_table("document")
    op.drop_table("credential")
    op.drop_table("blob_owner")
    op.drop_table("balance")
    op.drop_table("account")


def _account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _balance() -> None:
    op.create_table(
        "balance",
        sa.Column("account", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )


def _blob_owner() -> None:
    op.create_table(
        "blob_owner",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("project", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "project"),
    )


def _credential() -> None:
    op.create_table(
        "credential",
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("subject", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("spent_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("hash"),
    )


def _document() -> None:
    op.create_table(
        "document",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "number"),
    )


def _event() -> None:
    op.create_table(
        "event",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("job", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("event_by_job", ["job", "id"], unique=False)


def _hold() -> None:
    op.create_table(
        "hold",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("posted_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("released_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("actor", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("body_hash", sa.Text(), nullable=False),
        sa.Column("taken_round", sa.BigInteger(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("kind", "actor", "idempotency_key", name="inbox_once"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index("inbox_waiting", ["taken_round", "id"], unique=False)


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("submitted_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quote", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task_count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_gang", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time_limit_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expected_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("budget_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("spent_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("held_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("quoted_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("limit_micro_per_task", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_soonest", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_cancelled", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("job_by_project", ["project", "id"], unique=False)


def _lease() -> None:
    op.create_table(
        "lease",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cause", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stop_cause", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grace_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("exit_code", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("signal", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cpus_milli", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device_count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("units_milli", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offer", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_micro_per_unit_h", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("score_millionths", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("placed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_running_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_ended_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stop_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agent_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("network_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cpu_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("memory_peak_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("charged_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("charged_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slice_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("observed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_taken", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_result", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("lease", schema=None) as batch_op:
        batch_op.create_index("lease_by_job", ["job"], unique=False)
        batch_op.create_index("lease_by_pool", ["pool", "state"], unique=False)


def _ledger_transaction() -> None:
    op.create_table(
        "ledger_transaction",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("slice_index", sa.BigInteger(), nullable=False),
        sa.Column("usage", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "kind", "lease", "token", "slice_index", "reference", name="transaction_once"
        ),
    )


def _network() -> None:
    op.create_table(
        "network",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _node() -> None:
    op.create_table(
        "node",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cpus_milli", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("device_count", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _offer() -> None:
    op.create_table(
        "offer",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_micro_per_unit_h", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("score_millionths", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_measured", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("grace_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("listed_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _pool() -> None:
    op.create_table(
        "pool",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("provider", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("renew_for_s", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("wants_full", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lent_cpus_milli", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lent_memory_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_draining", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _posting() -> None:
    op.create_table(
        "posting",
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("source", sa.BigInteger(), nullable=False),
        sa.Column("destination", sa.BigInteger(), nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("transaction", "index"),
    )
    with op.batch_alter_table("posting", schema=None) as batch_op:
        batch_op.create_index("posting_by_destination", ["destination"], unique=False)
        batch_op.create_index("posting_by_source", ["source"], unique=False)


def _project() -> None:
    op.create_table(
        "project",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("weight", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("usage_micro_su", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("usage_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_blocked", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _provider() -> None:
    op.create_table(
        "provider",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_blocked", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _quote() -> None:
    op.create_table(
        "quote",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("made_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("until", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _round() -> None:
    op.create_table(
        "round",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("took_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )


def _task() -> None:
    op.create_table(
        "task",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("outcome", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lease", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("failures", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("resumes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("queued_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.create_index("task_by_job", ["job", "index"], unique=False)


def _usage_record() -> None:
    op.create_table(
        "usage_record",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lease", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("slice_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("task", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("project", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pool", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("offer", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("to_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("agent_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("network_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("paid_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cpu_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("memory_peak_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("cpus_milli", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("units_milli", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("price_micro_per_unit_h", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("score_millionths", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("service_units_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("amount_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("fee_micro", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_disputed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_final", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("is_retired", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("usage_record", schema=None) as batch_op:
        batch_op.create_index("usage_by_job", ["job"], unique=False)
        batch_op.create_index("usage_once", ["lease", "token", "slice_index"], unique=True)
