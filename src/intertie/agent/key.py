"""The agent's key: Ed25519, made once, never leaves the folder."""

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY = "agent.key"


class Key:
    """Signs what the agent says."""

    def __init__(self, secret: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public(self) -> str:
        """Return the public key: raw 32 bytes, base64."""
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, method: str, path: str, body: bytes) -> str:
        """Return the signature of one request, base64."""
        return base64.b64encode(self._key.sign(f"{method} {path}\n".encode() + body)).decode()


def load_key(folder: Path) -> Key:
    """Return the key kept in a folder, made at the first call; only its owner may read it."""
    path = folder / KEY
    if not path.exists():
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(made, "wb") as file:
            file.write(base64.b64encode(os.urandom(32)))
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    return Key(base64.b64decode(path.read_bytes()))
