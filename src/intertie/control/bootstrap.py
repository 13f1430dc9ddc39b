"""The first start of a network: its row, its secret, the operator's token."""

import json
import secrets
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select
from sqlalchemy.exc import IntegrityError

from intertie.control.clock import now_ms
from intertie.model.plain import to_plain
from intertie.model.policy import Policy
from intertie.store import tables
from intertie.store.appending import add_credential
from intertie.store.database import migrate, open_database
from intertie.store.numbering import begin_incarnation

OPERATOR = "operator"
_HOUR_MS = 3_600_000


def database_url(data: Path) -> str:
    """Return where the embedded network of a data folder keeps its truth."""
    return f"sqlite:///{data / 'network.sqlite'}"


def open_network(url: str, name: str = "intertie", policy: Policy | None = None) -> Engine:
    """Return an engine on a migrated database that holds one network; make it on the first call."""
    engine = open_database(url)
    migrate(engine)
    # Another process may make it at the same moment: then it is that one's network.
    with suppress(IntegrityError), engine.begin() as connection:
        if connection.execute(select(tables.network.c.id)).first() is None:
            _create(connection, name, policy or Policy())
    return engine


def make_token(connection: Connection, role: str, subject: int) -> str:
    """Return a new bearer token; only its hash is kept."""
    token = f"itk_{role}_{secrets.token_urlsafe(32)}"
    add_credential(connection, token, role, subject, now_ms())
    return token


def console_secret(engine: Engine) -> str:
    """Return what the console signs its sessions with, derived from the network's secret."""
    with engine.connect().execution_options(is_read=True) as connection:
        secret: bytes = connection.execute(select(tables.network.c.secret)).scalar_one()
    return sha256(b"console" + secret).hexdigest()


def raise_incarnation(engine: Engine, above: int = 0) -> int:
    """Begin a new incarnation and return it; called after a restore, so that older tokens lose.

    It is higher than that of the backup, than `above` (that of the network which the backup
    replaces, where one is known) and than any that a lost network of this age would have had.
    """
    with engine.begin() as connection:
        query = select(tables.network.c.incarnation, tables.network.c.created_at)
        had, created_at = connection.execute(query).one()
        by_age = (now_ms() - created_at) // _HOUR_MS
        incarnation = max(int(had), above, int(by_age)) + 1
        begin_incarnation(connection, incarnation)
    return incarnation


def save_credentials(path: Path, url: str, tokens: dict[str, str], default: str) -> None:
    """Keep url and tokens by name where the command line finds them.

    Readable by the owner alone.
    """
    known = json.loads(path.read_text())["tokens"] if path.exists() else {}
    text = json.dumps({"url": url, "tokens": known | tokens, "default": default}, indent=1)
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(text)


def _create(connection: Connection, name: str, policy: Policy) -> None:
    connection.execute(
        insert(tables.network).values(
            id=1,
            name=name,
            incarnation=1,
            secret=secrets.token_bytes(32),
            policy=json.dumps(to_plain(policy)),
            created_at=now_ms(),
        )
    )
