"""The tables. Those of the decided nouns are derived from the dataclasses in `model`."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from intertie.model.meter import UsageRecord
from intertie.world.table import columns_of
from intertie.world.world import NOUNS

# SQLite gives a row number only to a column that is exactly INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")
metadata = MetaData()


def name_of(noun: type[Any]) -> str:
    """Return the table name of a noun: ``UsageRecord`` becomes ``usage_record``."""
    text = "".join(f"_{c.lower()}" if c.isupper() else c for c in noun.__name__)
    return text.lstrip("_")


def _decided(noun: type[Any]) -> Table:
    columns = [
        Column(name, BigInteger, primary_key=name == "id", nullable=False, autoincrement=False)
        for name in columns_of(noun)
    ]
    # The store's own: has it left the World, and which round wrote it last.
    retired = Column("is_retired", Integer, nullable=False, server_default="0")
    changed = Column("changed_round", BigInteger, nullable=False, server_default="0")
    return Table(name_of(noun), metadata, *columns, retired, changed)


NOUN: dict[str, type[Any]] = {noun.__name__: noun for noun in (*NOUNS, UsageRecord)}
DECIDED: dict[str, Table] = {name: _decided(noun) for name, noun in NOUN.items()}

Index("job_by_project", DECIDED["Job"].c.project, DECIDED["Job"].c.id)
Index("task_by_job", DECIDED["Task"].c.job, DECIDED["Task"].c.index)
Index("lease_by_job", DECIDED["Lease"].c.job)
Index("lease_by_pool", DECIDED["Lease"].c.pool, DECIDED["Lease"].c.state)
Index("lease_by_change", DECIDED["Lease"].c.pool, DECIDED["Lease"].c.changed_round)
Index("pool_by_change", DECIDED["Pool"].c.changed_round)
Index("usage_by_job", DECIDED["UsageRecord"].c.job)
Index(
    "usage_once",
    DECIDED["UsageRecord"].c.lease,
    DECIDED["UsageRecord"].c.token,
    DECIDED["UsageRecord"].c.slice_index,
    unique=True,
)

network = Table(
    "network",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("incarnation", BigInteger, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("policy", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    # The last round of whose inbox rows some are gone; no replay can begin before it.
    Column("pruned_round", BigInteger, nullable=False, server_default="0"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False),
    Column("actor", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("idempotency_key", Text),
    Column("body_hash", Text, nullable=False),
    Column("taken_round", BigInteger),
    Column("answer", Text),
    Index(
        "inbox_waiting",
        "id",
        sqlite_where=text("taken_round IS NULL"),
        postgresql_where=text("taken_round IS NULL"),
    ),
    UniqueConstraint("kind", "actor", "idempotency_key", name="inbox_once"),
    sqlite_autoincrement=True,
)

round_ = Table(
    "round",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("took_us", BigInteger, nullable=False),
)

document = Table(
    "document",
    metadata,
    Column("kind", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("kind", "number"),
)

balance = Table(
    "balance",
    metadata,
    Column("account", BigInteger, primary_key=True, autoincrement=False),
    Column("amount_micro", BigInteger, nullable=False),
)

transaction = Table(
    "ledger_transaction",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("slice_index", BigInteger, nullable=False),
    Column("usage", BigInteger, nullable=False),
    Column("reference", BigInteger, nullable=False),
    UniqueConstraint("kind", "lease", "token", "slice_index", "reference", name="transaction_once"),
)

posting = Table(
    "posting",
    metadata,
    Column("transaction", BigInteger, nullable=False),
    Column("index", Integer, nullable=False),
    Column("source", BigInteger, nullable=False),
    Column("destination", BigInteger, nullable=False),
    Column("amount_micro", BigInteger, nullable=False),
    PrimaryKeyConstraint("transaction", "index"),
    Index("posting_by_source", "source"),
    Index("posting_by_destination", "destination"),
)

event = Table(
    "event",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("job", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("event_by_job", "job", "id"),
    sqlite_autoincrement=True,
)

# One row: who decides, until when by the database's clock. Each commit checks its term here.
leadership = Table(
    "leadership",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("term", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("until_at", BigInteger, nullable=False),
)

# The event table is the outbox: a webhook keeps the number of the last event that it was told.
webhook = Table(
    "webhook",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("project", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("codes", Text, nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("webhook_by_project", "project"),
    sqlite_autoincrement=True,
)

# Doors' own business, not decided: who may knock, and whose blob is whose.
credential = Table(
    "credential",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("spent_at", BigInteger),
)

blob_owner = Table(
    "blob_owner",
    metadata,
    Column("sha256", Text, nullable=False),
    Column("project", BigInteger, nullable=False),
    PrimaryKeyConstraint("sha256", "project"),
)

# Who waits at a door to speak with a session: gone once its agent has dialled.
session_call = Table(
    "session_call",
    metadata,
    Column("nonce", Text, primary_key=True),
    Column("pool", BigInteger, nullable=False),
    Column("lease", BigInteger, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("until", BigInteger, nullable=False),
)

# What operators asked to live through again under another policy, and what a worker found.
what_if = Table(
    "what_if",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("asked_at", BigInteger, nullable=False),
    Column("noted_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("policy", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("result", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("idempotency_key", Text, unique=True),
    sqlite_autoincrement=True,
)
