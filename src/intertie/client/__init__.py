"""The Python SDK: submit, quote, wait, logs, results, and every other public route.

It reads the answers of the HTTP API and returns `wire/` models; a refusal or error arrives as a
named exception with its fix. It imports `wire/` and `model/` only and stays light to import. It
must not know how the network decides or stores anything.
"""

from intertie.client.calls import PythonMismatch, RemoteError, RemoteTraceback, Unpicklable
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
from intertie.client.executor import NetworkExecutor
from intertie.client.futures import CallFailed, NetworkFuture, RemoteTask
from intertie.client.imports import Imported, from_sbatch, from_sky
from intertie.client.network import Intertie
from intertie.client.progress import Progress

__all__ = [
    "BadInput",
    "CallFailed",
    "Imported",
    "Intertie",
    "IntertieError",
    "NetworkExecutor",
    "NetworkFuture",
    "NoAccess",
    "NotFound",
    "Progress",
    "PythonMismatch",
    "Refused",
    "RemoteError",
    "RemoteTask",
    "RemoteTraceback",
    "SpecError",
    "Unpicklable",
    "Unreachable",
    "WaitTimeout",
    "from_sbatch",
    "from_sky",
]
