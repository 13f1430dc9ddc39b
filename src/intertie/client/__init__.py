"""The Python SDK: submit, quote, wait, logs, results, and every other public route.

It reads the answers of the HTTP API and returns `wire/` models; a refusal or error arrives as a
named exception with its fix. It imports `wire/` and `model/` only and stays light to import. It
must not know how the network decides or stores anything.
"""

from intertie.client.errors import (
    BadInput,
    IntertieError,
    NoAccess,
    NotFound,
    Refused,
    SpecError,
    Unreachable,
    WaitTimeout,
)
from intertie.client.network import Intertie

__all__ = [
    "BadInput",
    "Intertie",
    "IntertieError",
    "NoAccess",
    "NotFound",
    "Refused",
    "SpecError",
    "Unreachable",
    "WaitTimeout",
]
