"""What the engine keeps of its gangs and does for them, look by look; `gangs` says what.

The barrier of a gang is the file `gangs/<id>/open` in the engine's folder, which the containers
of its members see: there is one, so it opens for all of them at once. It outlives the agent.
"""

import random
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from intertie.engines.kubernetes import folders, gangs
from intertie.engines.kubernetes.gangs import Gathering, Member
from intertie.engines.kubernetes.render import GANG, GANG_SIZE
from intertie.engines.protocol import EngineUnavailable, Observed
from intertie.engines.shim.attempts import NAME

Document = dict[str, Any]
Act = Callable[[Path, Document], None]
LEFT = "another task of its gang will not begin"


class Gatherer:
    """`create` has a member's Job made, `remove` has it taken away; EngineUnavailable if away."""

    def __init__(self, root: Path, hold_off_s: float, create: Act, remove: Act) -> None:
        self.root, self.hold_off_s = root, hold_off_s
        self._create, self._remove = create, remove
        self._gang_of: dict[str, tuple[str, int]] = {}
        self._known: dict[str, Gathering] = {}

    def gang_of(self, folder: Path) -> str:
        """Return the gang of an attempt; empty where it begins alone, or is not yet started."""
        if folder.name not in self._gang_of:
            spec = folders.read_spec(folder)
            if spec is None:
                return ""
            told = spec["metadata"]["annotations"]
            self._gang_of[folder.name] = (told.get(GANG, ""), int(told.get(GANG_SIZE, "1")))
        return self._gang_of[folder.name][0]

    def opened_at(self, gang: str) -> int:
        """Return when a gang's barrier opened, ms since the epoch; 0 while it is shut."""
        with suppress(OSError, ValueError):
            return int((self.root / "gangs" / gang / "open").read_text()) if gang else 0
        return 0

    def own(
        self, folder: Path, found: Document | None, pods: dict[str, Document]
    ) -> tuple[Document | None, dict[str, Document]]:
        """Return an attempt's Job and its pods, without what is left of an earlier try."""
        if not self.gang_of(folder):
            return found, pods
        uid = _uid(folder)
        is_own = found is not None and found["metadata"]["uid"] == uid
        return found if is_own else None, {n: pod for n, pod in pods.items() if _is_of(pod, uid)}

    def tend(self, pods: dict[str, dict[str, Document]]) -> bool:
        """Do for each gang what is due; `pods` by Job. Return whether some gang gathers."""
        now_s = time.monotonic()
        there = self._shut(pods)
        self._forget(there)
        busy = [
            gang
            for gang, members in there.items()
            if self._known[gang].since_s is not None and not gangs.all_have_nodes(members)
        ]
        for gang, members in there.items():
            known = self._known[gang]
            act = gangs.step(known, members, now_s, self.hold_off_s)
            if act == "create" and busy and gang not in busy:
                continue
            if act == "create" and not busy:
                busy = [self._next(there, now_s)]
                if gang not in busy:
                    continue
            with suppress(EngineUnavailable):  # what was not done is due again
                self._do(act, gang, members, now_s)
        return bool(there)

    def _shut(self, pods: dict[str, dict[str, Document]]) -> dict[str, list[Member]]:
        """Return the members that are here of each gang whose barrier is shut."""
        there: dict[str, list[Member]] = {}
        for folder in sorted(self.root.iterdir()):
            if not NAME.match(folder.name) or not (gang := self.gang_of(folder)):
                continue
            if self.opened_at(gang):
                continue
            is_created = (folder / "created").exists()
            there.setdefault(gang, []).append(
                Member(
                    folder.name,
                    is_over=(folder / "status.json").exists(),
                    is_created=is_created,
                    pod=self._pod(folder, pods) if is_created else None,
                )
            )
            known = self._known.setdefault(gang, Gathering(self._gang_of[folder.name][1]))
            if is_created and known.since_s is None:  # an earlier agent began
                self._known[gang] = replace(known, since_s=time.monotonic())
        return there

    def _pod(self, folder: Path, pods: dict[str, dict[str, Document]]) -> Document | None:
        spec, uid = folders.read_spec(folder), _uid(folder)
        by_name = pods.get(spec["metadata"]["name"], {}) if spec else {}
        return next((pod for pod in by_name.values() if _is_of(pod, uid)), None)

    def _next(self, there: dict[str, list[Member]], now_s: float) -> str:
        waiting = [
            (gang, self._known[gang])
            for gang, members in there.items()
            if gangs.step(self._known[gang], members, now_s, self.hold_off_s) == "create"
        ]
        return gangs.next_to_gather(waiting)

    def _do(self, act: str, gang: str, members: list[Member], now_s: float) -> None:
        known = self._known[gang]
        if act == "create":
            (self.root / "gangs" / gang).mkdir(mode=0o755, parents=True, exist_ok=True)
            self._known[gang] = replace(known, since_s=known.since_s or now_s)
            for each in members:
                if not each.is_created:
                    self._make(self.root / each.name)
        elif act == "open":
            folders.write_new(self.root / "gangs" / gang / "open", str(time.time_ns() // 10**6))
        elif act == "give_back":
            self._known[gang] = gangs.gave_back(known, now_s, random.random())
            for each in members:
                self._take_back(self.root / each.name)
        elif act == "disband":
            for each in members:
                if not each.is_over:
                    self._withdraw(self.root / each.name, "superseded", LEFT)

    def _make(self, folder: Path) -> None:
        spec = folders.read_spec(folder)
        assert spec is not None, "whoever is in a gang has its Job written down"
        try:
            self._create(folder, spec)
        except ValueError as error:
            self._withdraw(folder, "start_failed", str(error))

    def _take_back(self, folder: Path) -> None:
        """Without `created` first: what is left of this try then counts for nothing."""
        (folder / "created").unlink(missing_ok=True)
        if (spec := folders.read_spec(folder)) is not None:
            self._remove(folder, spec)

    def _withdraw(self, folder: Path, cause: str, detail: str) -> None:
        match = NAME.match(folder.name)
        if match and folders.withdraw(folder):
            seen = Observed(match[1], int(match[2]), "over", cause, detail=detail[:1500])
            folders.write_over(folder, seen)
            self._take_back(folder)

    def _forget(self, there: Iterable[str]) -> None:
        """Drop what is kept of gangs and members that are gone."""
        names = {path.name for path in self.root.iterdir()}
        for name in self._gang_of.keys() - names:
            del self._gang_of[name]
        alive = {gang for gang, _ in self._gang_of.values()}
        for gang in self._known.keys() - set(there):
            del self._known[gang]
        for path in (self.root / "gangs").glob("*"):
            if path.name not in alive:
                shutil.rmtree(path, ignore_errors=True)


def _uid(folder: Path) -> str:
    """Return the Job that an attempt has now; empty where it has none."""
    with suppress(OSError):
        return (folder / "created").read_text()
    return ""


def _is_of(pod: Document, uid: str) -> bool:
    return any(each["uid"] == uid for each in pod["metadata"].get("ownerReferences", ()))
