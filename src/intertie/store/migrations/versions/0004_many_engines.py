"""Device classes, groups of machines and waits; the site's meter and a lease's waiting"""

import json
from collections import Counter
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = {
    "node": {"machine_count": 1, "device_class": 0, "wait_s": 0},
    "pool": {"lent_device_count": 0},
    "lease": {"site_ms": 0, "expected_start_at": 0, "waited_ms": 0},
    "usage_record": {"site_ms": 0},
}
DOCUMENT = sa.table("document", *map(sa.column, ("kind", "number", "body")))
NODE = sa.table(
    "node",
    *map(sa.column, ("id", "pool", "index", "device_count", "is_retired", "device_class")),
)
POOL = sa.table("pool", sa.column("id"), sa.column("lent_device_count"))


def upgrade() -> None:
    """Add the columns; every device that is there is lent, and its class is what its agent said."""
    for table, names in COLUMNS.items():
        for name, usual in names.items():
            number = sa.Column(name, sa.BigInteger(), server_default=str(usual), nullable=False)
            op.add_column(table, number)
    connection = op.get_bind()
    said = {number: facts.get("nodes", []) for number, facts in _documents(connection, "pool")}
    lent: Counter[int] = Counter()
    live = sa.select(NODE).where(NODE.c.is_retired == 0)
    for node in connection.execute(live).mappings():
        lent[node["pool"]] += node["device_count"]
        known = said.get(node["pool"], [])[node["index"] : node["index"] + 1]
        code = _code(known[0].get("device_class", "")) if known else 0
        if code:
            changed = sa.update(NODE).where(NODE.c.id == node["id"])
            connection.execute(changed.values(device_class=code))
    for pool, count in lent.items():
        changed = sa.update(POOL).where(POOL.c.id == pool)
        connection.execute(changed.values(lent_device_count=count))


def downgrade() -> None:
    """Drop the columns, and of the documents what the older release cannot read."""
    connection = op.get_bind()
    connection.execute(sa.delete(DOCUMENT).where(DOCUMENT.c.kind == "attempt"))
    for number, facts in _documents(connection, "pool"):
        for node in facts.get("nodes", []):
            node.pop("machine_count", None)
        facts.get("terms", {}).pop("lent_device_count", None)
        _rewrite(connection, "pool", number, facts)
    for number, terms in _documents(connection, "quote"):
        for option in terms.get("options", []):
            for pool in option["pools"]:
                pool.pop("wait_s", None)
        _rewrite(connection, "quote", number, terms)
    for table, names in COLUMNS.items():
        for name in names:
            op.drop_column(table, name)


def _documents(connection: sa.Connection, kind: str) -> list[tuple[int, dict[str, Any]]]:
    found = connection.execute(sa.select(DOCUMENT).where(DOCUMENT.c.kind == kind))
    return [(row.number, json.loads(row.body)) for row in found]


def _rewrite(connection: sa.Connection, kind: str, number: int, value: dict[str, Any]) -> None:
    here = (DOCUMENT.c.kind == kind) & (DOCUMENT.c.number == number)
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    connection.execute(sa.update(DOCUMENT).where(here).values(body=body))


def _code(device_class: str) -> int:
    """Return `model.parties.device_code` as it was when this migration was written."""
    if not device_class:
        return 0
    marked = blake2b(device_class.encode(), digest_size=8).digest()
    return int.from_bytes(marked, "big") % 2**63 or 1
