"""An agent that speaks protocol 2: it keeps its wanted set by deltas, as any agent may."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from intertie.agent.wanted import WantedSet
from intertie.model.ids import decode
from intertie.model.units import GIB
from intertie.wire.digest import digest_text, lease_mark
from intertie.wire.sync import SyncAnswer
from tests.api.network import Agent


@dataclass
class DeltaAgent(Agent):
    """Says deltas and hears deltas; `wanted` is what it believes to be wanted."""

    wanted: WantedSet = field(default_factory=WantedSet)

    def sync(self, *said: dict[str, Any], wait_ms: int = 0, **known: Any) -> httpx.Response:
        """Say what is seen of leases, and fold the answer in where it is one."""
        for each in said:
            self.alive[each["lease"]] = each["token"]
            if each["state"] in ("finishing", "ended"):
                self.alive.pop(each["lease"])
        self.sequence += 1
        marks = (lease_mark(decode("lease", lease), token) for lease, token in self.alive.items())
        begins = not self.wanted.heard_round
        body = {
            "protocol": 2,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "is_full": begins or bool(self.answer.get("wants_full")),
            "digest": digest_text(sum(marks)),
            "leases": list(said),
            "owner": {"lent_cpus_milli": 2000, "lent_memory_bytes": 4 * GIB},
            "wanted_digest": self.wanted.digest,
            "heard_round": self.wanted.heard_round,
            "incarnation": self.wanted.incarnation,
            "wait_ms": 0 if begins else wait_ms,
        }
        found = self.post(f"/agents/{self.id}/sync", body | known)
        if found.status_code == 200:
            self.answer = found.json()
            self.fresh |= {each["lease"]: each for each in self.answer["leases"] if each["body"]}
            self.wanted.take_in(SyncAnswer.model_validate(self.answer))
        return found
