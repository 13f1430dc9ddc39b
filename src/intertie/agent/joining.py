"""Joining: the agent's id, what it says of its pool, and the terms of its owner."""

import json
from contextlib import suppress

import intertie
from intertie.agent.benchmark import measured_score
from intertie.agent.door import Door, Refused
from intertie.agent.log import event
from intertie.agent.owner import Lent
from intertie.agent.settings import AgentSettings
from intertie.engines.host.engine import HostEngine, HostSettings
from intertie.engines.protocol import EngineFacts
from intertie.model.parties import Score
from intertie.model.plain import to_plain
from intertie.wire.base import Problem
from intertie.wire.sync import NodeBody, PoolBody, ScoreBody, StackBody, TermsBody


def host_settings(settings: AgentSettings, folder: str = "attempts") -> HostSettings:
    """Return the engine's part of the owner's settings."""
    return HostSettings(
        folder=settings.folder / folder,
        cpus_milli=settings.cpus_milli,
        memory_bytes=settings.memory_bytes,
        disk_bytes=settings.disk_bytes,
        log_bytes_max=settings.log_bytes_max,
        grace_s=settings.grace_s,
        speed_percent=settings.speed_percent,
        is_sandboxed=settings.is_sandboxed,
        is_limited=settings.is_limited,
    )


def lent_terms(settings: AgentSettings, facts: EngineFacts) -> Lent:
    """Return what the owner lends by the terms: never more than there is, all of it if not said."""
    cpus_milli = sum(node.cpus_milli for node in facts.nodes)
    memory_bytes = sum(node.memory_bytes for node in facts.nodes)
    return Lent(
        min(settings.lent_cpus_milli or cpus_milli, cpus_milli),
        min(settings.lent_memory_bytes or memory_bytes, memory_bytes),
    )


def enrolled_id(settings: AgentSettings, door: Door) -> str:
    """Return the agent's id, from the folder, or by spending the token at the first call."""
    path = settings.folder / "agent.json"
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads(path.read_text())["agent"])
    if not settings.enrol_token:
        problem = Problem(
            type="", title="not enrolled", status=401, detail="set enrol_token in the settings"
        )
        raise Refused(401, problem)
    enrolled = door.enrol(settings.enrol_token, settings.pool)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"agent": enrolled.agent, "network": enrolled.network}))
    new.replace(path)
    event("enrolled", agent=enrolled.agent, network=enrolled.network)
    return enrolled.agent


def score(settings: AgentSettings) -> Score | None:
    """Return the speed of one core, measured under the same limits as a job."""
    engine = HostEngine(host_settings(settings, "benchmark"))
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
            own_project=settings.own_project,
            projects=list(settings.projects),
        ),
        scores=[ScoreBody(**to_plain(score))] if score else [],
        software=[StackBody(**to_plain(stack)) for stack in facts.software],
        abilities=list(facts.abilities),
        not_enforced=list(facts.not_enforced),
        datasets=list(settings.datasets),
        agent_version=intertie.__version__,
    )
