"""Joining: the agent's id, what it says of its pool, and the terms of its owner."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import intertie
from intertie.agent import owner
from intertie.agent.benchmark import PROFILE, measured_score
from intertie.agent.door import Door, Refused
from intertie.agent.key import KEY
from intertie.agent.log import event
from intertie.agent.owner import Lent
from intertie.agent.settings import SCORE, AgentSettings, SettingsError
from intertie.engines import registry
from intertie.engines.host import engine as host
from intertie.engines.protocol import SESSIONS, Engine, EngineFacts
from intertie.engines.registry import EngineSettings
from intertie.model.parties import Score
from intertie.model.plain import to_plain
from intertie.wire.base import Problem
from intertie.wire.sync import NodeBody, PoolBody, ScoreBody, StackBody, TermsBody

IDENTITY = "agent.json"


def engine_settings(settings: AgentSettings, folder: str = "attempts") -> EngineSettings:
    """Return the engine's part of the owner's settings."""
    return EngineSettings(
        folder=settings.folder / folder,
        grace_s=settings.grace_s,
        log_bytes_max=settings.log_bytes_max,
        cpus_milli=settings.cpus_milli,
        memory_bytes=settings.memory_bytes,
        disk_bytes=settings.disk_bytes,
        speed_percent=settings.speed_percent,
        is_sandboxed=settings.is_sandboxed,
        is_limited=settings.is_limited,
        table=settings.table,
    )


def open_engine(settings: AgentSettings) -> Engine:
    """Return the owner's engine.

    Raises SettingsError that names the key of its table, EngineUnavailable where it is away.
    """
    try:
        return registry.find(settings.engine)(engine_settings(settings))
    except ValueError as error:
        raise SettingsError(f"[{settings.engine}] {error}") from error
    except ImportError as error:
        raise SettingsError(f"engine: {settings.engine!r} cannot be loaded: {error}") from error


def offered(settings: AgentSettings, facts: EngineFacts) -> EngineFacts:
    """Return what an engine has, without what its owner does not offer."""
    kept = (word for word in facts.abilities if settings.has_sessions or word != SESSIONS)
    return replace(facts, abilities=tuple(kept))


def lent_terms(settings: AgentSettings, facts: EngineFacts) -> Lent:
    """Return what the owner lends by the terms: never more than there is, all of it if not said."""
    cpus_milli = sum(node.cpus_milli for node in facts.nodes)
    memory_bytes = sum(node.memory_bytes for node in facts.nodes)
    devices = sum(node.device_count for node in facts.nodes)
    said = devices if settings.lent_devices is None else min(settings.lent_devices, devices)
    return Lent(
        min(settings.lent_cpus_milli or cpus_milli, cpus_milli),
        min(settings.lent_memory_bytes or memory_bytes, memory_bytes),
        device_count=said if devices else None,
    )


def enrolled_id(settings: AgentSettings, door: Door, token: str = "") -> str:
    """Return the agent's id, from the folder, or by spending the token at the first call."""
    path = settings.folder / IDENTITY
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(path.read_text())["agent"])
    token = token or settings.enrol_token
    if not token:
        problem = Problem(
            type="",
            title="not enrolled",
            status=401,
            detail="join first: `intertie join`, or set enrol_token",
        )
        raise Refused(401, problem)
    enrolled = door.enrol(token, settings.pool)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"agent": enrolled.agent, "network": enrolled.network}))
    new.replace(path)
    event("enrolled", agent=enrolled.agent, network=enrolled.network)
    return enrolled.agent


def forget(folder: Path) -> None:
    """Forget the network that was left: the next to join is a new agent with a new key."""
    for name in (IDENTITY, KEY, owner.LEAVING):
        (folder / name).unlink(missing_ok=True)


def score(settings: AgentSettings) -> Score | None:
    """Return the speed of one unit: as the owner declares it, else measured on this machine.

    Only the host engine's machine is this one: others are as fast as the reference till told.
    """
    if settings.score_millionths or settings.engine != "host":
        return Score(PROFILE, settings.score_millionths or SCORE, "declared")
    engine = host.open_engine(engine_settings(settings, "benchmark"))
    try:
        cache = settings.folder / "benchmark.json"
        return measured_score(engine, cache, settings.benchmark == "again")
    finally:
        engine.close()


def pool_body(
    settings: AgentSettings, facts: EngineFacts, lent: Lent, score: Score | None
) -> PoolBody:
    """Return all that the agent says of its pool when a session begins."""
    return PoolBody(
        name=settings.pool,
        engine=facts.engine,
        region=settings.region,
        country=settings.country,
        latency_ms=settings.latency_ms,
        latency_source="declared",
        nodes=[NodeBody(**to_plain(node)) for node in facts.nodes],
        terms=TermsBody(
            price_micro_per_unit_h=settings.price_micro_per_unit_h,
            grace_s=settings.grace_s,
            lent_cpus_milli=lent.cpus_milli,
            lent_memory_bytes=lent.memory_bytes,
            lent_device_count=lent.device_count,
            own_project=settings.own_project,
            projects=list(settings.guests.admitted),
            not_projects=list(settings.guests.refused),
        ),
        scores=[ScoreBody(**to_plain(score))] if score else [],
        software=[StackBody(**to_plain(stack)) for stack in facts.software],
        abilities=list(facts.abilities),
        not_enforced=list(facts.not_enforced),
        datasets=list(settings.datasets),
        agent_version=intertie.__version__,
    )
