"""What `intertie agent check` looks at: what a pool would offer now, and what is in the way."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from intertie.agent import enrolling, joining, owner, policy
from intertie.agent.owner import Lent
from intertie.agent.settings import SCORE, AgentSettings, SettingsError, read_settings
from intertie.cli.doctor import Finding, Word
from intertie.client.pinning import trust, why_not_trusted
from intertie.engines.protocol import SESSIONS, EngineFacts, EngineUnavailable, Room
from intertie.model.units import MILLI

SKEW_MS_MOST = 5_000
PATIENCE_S = 10.0
Spoken = dict[str, str]
InWords = Callable[[Sequence[str]], str]


@dataclass
class Checked:
    """What was found about a pool; `facts` and `lent` are None where the engine is away."""

    findings: list[Finding] = field(default_factory=list)
    facts: EngineFacts | None = None
    lent: Lent | None = None

    @property
    def is_well(self) -> bool:
        return all(each.word != "bad" for each in self.findings)

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {"is_well": self.is_well} | asdict(self)


def check(path: Path, spoken: Spoken, in_words: InWords) -> Checked:
    """Look at a pool by its settings file, changing nothing.

    `spoken` has the words for always, everyone and but in the reader's language; `in_words` says
    abilities in it.
    """
    checked = Checked()
    try:
        settings = read_settings(path)
    except SettingsError as error:
        checked.findings.append(Finding("agent_settings", "bad", {"reason": str(error)}))
        return checked
    checked.findings.append(Finding("agent_settings", "ok", {"path": str(path)}))
    checked.findings += _engine(settings, checked, in_words)
    checked.findings += [_window(settings, spoken), _guests(settings, spoken), _score(settings)]
    checked.findings += _network(settings)
    agent = enrolling.joined(settings.folder)
    checked.findings.append(Finding("agent_joined", "ok" if agent else "warn", {"agent": agent}))
    return checked


def _engine(settings: AgentSettings, checked: Checked, in_words: InWords) -> Iterator[Finding]:
    try:
        engine = joining.open_engine(settings)
        try:
            facts, room = engine.facts(), engine.room()
        finally:
            engine.close()
    except (SettingsError, EngineUnavailable) as error:
        yield Finding("agent_engine", "bad", {"engine": settings.engine, "reason": str(error)})
        return
    checked.facts = joining.offered(settings, facts)
    nodes = facts.nodes
    sums = {
        "engine": settings.engine,
        "nodes": sum(node.machine_count for node in nodes),
        "cpus_milli": sum(node.cpus_milli for node in nodes),
        "devices": sum(node.device_count for node in nodes),
    }
    yield Finding("agent_engine", "ok", sums)
    checked.lent = _lent(settings, checked.facts, room)
    yield _lent_finding(checked.lent)
    missing = in_words(facts.not_enforced)
    yield Finding("agent_limits", "warn" if missing else "ok", {"what": missing})
    if SESSIONS in facts.abilities:
        yield Finding("agent_sessions", "ok" if settings.has_sessions else "warn")


def _lent(settings: AgentSettings, facts: EngineFacts, room: Room | None) -> Lent:
    terms, order = joining.lent_terms(settings, facts), owner.read_reclaim(settings.folder)
    return policy.lent_now(terms, settings.windows, room, order, _now())


def _lent_finding(lent: Lent) -> Finding:
    values = {"cpus_milli": lent.cpus_milli, "memory_bytes": lent.memory_bytes}
    word: Word = "ok" if lent.cpus_milli and lent.memory_bytes else "warn"
    return Finding("agent_lent", word, values | {"devices": lent.device_count or 0})


def _window(settings: AgentSettings, spoken: Spoken) -> Finding:
    windows, now = settings.windows, _now()
    changes_at = windows.changes_at(now)
    if not changes_at:
        return Finding("agent_window", "ok", {"until": spoken["always"]})
    until = datetime.fromtimestamp(changes_at // MILLI, windows.zone or UTC)
    word: Word = "ok" if windows.is_open(now) else "warn"
    return Finding("agent_window", word, {"until": until.isoformat(timespec="minutes")})


def _guests(settings: AgentSettings, spoken: Spoken) -> Finding:
    guests = settings.guests
    who = ", ".join(guests.admitted) or spoken["everyone"]
    if guests.refused:
        who = spoken["but"].format(who=who, refused=", ".join(guests.refused))
    return Finding("agent_guests", "ok", {"admitted": who})


def _score(settings: AgentSettings) -> Finding:
    if settings.engine == "host" and not settings.score_millionths:
        return Finding("agent_score", "ok")
    score = (settings.score_millionths or SCORE) / SCORE
    return Finding("agent_score", "warn", {"score": f"{score:g}"})


def _network(settings: AgentSettings) -> Iterator[Finding]:
    begun, url = time.monotonic(), settings.network
    try:
        answer = httpx.get(
            f"{url}/v1/health", timeout=PATIENCE_S, verify=trust(settings.fingerprint)
        )
    except httpx.HTTPError as error:
        reason = why_not_trusted(error) or str(error) or type(error).__name__
        yield Finding("agent_network", "bad", {"url": url, "reason": reason})
        return
    took_ms = int((time.monotonic() - begun) * MILLI)
    if not answer.is_success:
        reason = f"{answer.status_code} {answer.reason_phrase}"
        yield Finding("agent_network", "bad", {"url": url, "reason": reason})
        return
    yield Finding("agent_network", "ok", {"url": url, "took_ms": took_ms})
    with suppress(ValueError, KeyError, TypeError):
        said = parsedate_to_datetime(answer.headers["date"]).timestamp()
        # It says whole seconds, and was on its way for a while.
        skew_ms = max(0, int(abs(time.time() - said - 0.5) * MILLI) - 500 - took_ms)
        word: Word = "ok" if skew_ms <= SKEW_MS_MOST else "warn"
        yield Finding("agent_clock", word, {"skew_ms": max(skew_ms, MILLI)})


def _now() -> int:
    return time.time_ns() // 1_000_000
