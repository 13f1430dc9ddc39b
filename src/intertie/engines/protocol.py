"""The Engine protocol: few verbs, each safe to repeat; abilities as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from intertie.model.parties import NodeFacts, Stack
from intertie.wire.sync import LeaseBody

SESSIONS = "sessions"  # the ability to run them


class EngineUnavailable(Exception):
    """The engine did not answer. Nothing was decided by it; try again later."""


@dataclass(frozen=True)
class EngineFacts:
    """What an engine can run and what it can enforce, found out when the agent starts."""

    engine: str
    nodes: tuple[NodeFacts, ...]
    software: tuple[Stack, ...]
    abilities: tuple[str, ...]
    not_enforced: tuple[str, ...]


@dataclass(frozen=True)
class Room:
    """What a pool has for guests at this instant, by what its own users leave and what is up."""

    cpus_milli: int
    memory_bytes: int
    device_count: int = 0


@dataclass(frozen=True)
class Observed:
    """What an engine sees of one attempt. Meters are cumulative; `cause` is a `CauseWord`.

    `state` is pending, running or over. `ran_ms` counts on a monotonic clock from the moment the
    program was started to the moment its last process was gone. `site_ms` is what the site's own
    accounting says it ran, 0 where there is none yet. `expected_start_at` is the site's own word
    for what is pending. `node` is where it runs, `image` the digest of what it ran in. What is over
    and not yet final has let go of all it ran in; only the site's account of it is still to come.
    """

    lease: str
    token: int
    state: str
    cause: str = "none"
    exit_code: int | None = None
    signal: int | None = None
    started_at: int = 0
    ran_ms: int = 0
    cpu_ms: int = 0
    memory_peak_bytes: int = 0
    detail: str = ""
    site_ms: int = 0
    expected_start_at: int = 0
    node: str = ""
    image: str = ""
    is_final: bool = True


class Engine(Protocol):
    """Starts and stops attempts on one pool. Names on the engine's side carry lease and token."""

    def facts(self) -> EngineFacts:
        """Return what the pool is and what it enforces."""

    def room(self) -> Room | None:
        """Return what there is for guests now; None where nobody but us uses the pool."""

    def waits(self) -> dict[str, int]:
        """Return in how many seconds a task would start, by node; empty where at once."""

    def folder(self, lease: str, token: int) -> Path:
        """Return the attempt's folder: `work/` is the job's working folder, `log` its output."""

    def start(self, lease: str, token: int, body: LeaseBody) -> None:
        """Start the attempt unless it was started before; `work/` holds its inputs already."""

    def extend(self, lease: str, token: int, left_ms: int) -> None:
        """Set how long the lease lasts from now, before its start too.

        The engine keeps to it without the agent, and whatever the wall clock says.
        """

    def renew(self, left_ms: int) -> None:
        """Stop attempts with `on_partition: move` as lost unless this is said again in time."""

    def wait(self, timeout_s: float) -> None:
        """Return when an attempt may have changed, when woken, or when the time is up."""

    def wake(self) -> None:
        """Make `wait` return now."""

    def stop(self, lease: str, token: int, cause: str, grace_s: int) -> None:
        """Ask the attempt to stop, kill all of it after the grace. Unknown attempts are fine."""

    def observe(self) -> list[Observed]:
        """Return every attempt that the engine knows of, those of an earlier agent included."""

    def forget(self, lease: str, token: int) -> None:
        """Remove what is left of an attempt that is over; a running one is left alone."""

    def listen(self) -> None:
        """Hear of changes at once, unless another engine of this folder does."""

    def close(self) -> None:
        """Let go of the engine; what runs, runs on."""
