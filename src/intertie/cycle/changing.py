"""What might let a waiting job start sooner: changes to its request, the smallest first."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from intertie.cycle.placing import Scene
from intertie.model.refusal import Relaxation, Value, distance
from intertie.model.request import Request, Resources
from intertie.model.rows import changed
from intertie.model.units import MIB, MILLI
from intertie.placement.given import CLASS, LARGEST, NO_TRADE, POOL, Kept
from intertie.world.table import Ints
from intertie.world.world import ROOM

_PPM = 1_000_000
# Beside what would start at once, a quarter and half of what was asked for less.
_PARTS = ((3, 4), (1, 2))
# Amounts as people ask for them.
_STEP = {"cpus_milli": MILLI, "memory_bytes": 256 * MIB, "device_count": 1}


@dataclass(frozen=True)
class Change:
    """A relaxation and what it makes of the job.

    `size_ppm` is how large it is: millionths of what was asked for, and whole ones for what is
    another request. 0 leaves `tasks` and `expected_s` as they are.
    """

    relaxation: Relaxation
    size_ppm: int
    request: Request
    tasks: int = 0
    expected_s: int = 0
    more_micro: int = 0
    has_no_limit: bool = False


def changes_of(
    scene: Scene, row: int, request: Request, told: list[Relaxation], kept: Kept
) -> list[Change]:
    """Return what pools ask of the job, and what less of everything would be; smallest first."""
    wallet = int(scene.payers.wallet[scene.kins.project[scene.jobs.kin[row]]])
    found = [change for each in told if (change := _as_told(request, each, wallet)) is not None]
    found += _less(scene, row, request)
    found += _shorter(scene, row, request, kept)
    unique = {(c.relaxation.code, *sorted(c.relaxation.values.items())): c for c in found}
    return sorted(unique.values(), key=lambda c: (c.size_ppm, distance(c.relaxation)))


def _as_told(request: Request, relaxation: Relaxation, wallet: int) -> Change | None:
    """Return the change that a pool's refusal asks for; None where none of the request's will do.

    What must not move is no convenience: nobody is told to let data go for an earlier start.
    """
    values, code = relaxation.values, relaxation.code
    if code in _LESS_OF:
        name, key = _LESS_OF[code]
        return _less_of(request, name, int(values[key]))
    if code in _ELSEWHERE:
        other = changed(request, **_ELSEWHERE[code](request, values))
        return Change(relaxation, _PPM + distance(relaxation), other)
    if code in ("top_up", "raise_budget", "name_budget"):
        return _dearer(request, relaxation, wallet)
    if code == "smaller_gang":
        to = int(values["to"])
        size_ppm = _part_ppm(request.task_count, to)
        return Change(relaxation, size_ppm, changed(request, task_count=to), tasks=to)
    return None


_LESS_OF = {
    "fewer_cpus": ("cpus_milli", "to_milli"),
    "less_memory": ("memory_bytes", "to_bytes"),
    "less_disk": ("disk_bytes", "to_bytes"),
    "fewer_devices": ("device_count", "to"),
}
_CODE_OF = {name: (code, key) for code, (name, key) in _LESS_OF.items()}
Values = dict[str, Value]
_ELSEWHERE: dict[str, Callable[[Request, Values], dict[str, object]]] = {
    "allow_provider": lambda r, v: {"providers": (*r.providers, str(v["provider"]))},
    "allow_region": lambda r, v: {"residency": (*r.residency, str(v["region"]))},
    "allow_latency": lambda r, v: {"latency_ms_max": int(v["to_ms"])},
    "drop_requirement": lambda r, v: {
        "requires": tuple(each for each in r.requires if each != v["ability"])
    },
    "price_kind_list": lambda r, v: {"price_kinds": (*r.price_kinds, "list")},
    "not_as_gang": lambda r, v: {"is_gang": 0},
    "other_device": lambda r, v: {"resources": changed(r.resources, device_class="")},
}


def _dearer(request: Request, relaxation: Relaxation, wallet: int) -> Change:
    """Return the job with more money: in its budget or in its project's wallet."""
    values, is_wallet = relaxation.values, relaxation.code == "top_up"
    had = wallet if is_wallet else request.budget_micro
    more = int(values["missing_micro"]) if is_wallet else int(values.get("to_micro", 0)) - had
    size_ppm = min(_PPM, max(0, more) * _PPM // had) if had else _PPM
    return Change(
        relaxation, size_ppm, request, more_micro=max(0, more), has_no_limit=not is_wallet
    )


def _less(scene: Scene, row: int, request: Request) -> list[Change]:
    """Return the job with less of each thing: as much as is free somewhere now, and parts of it."""
    kin, need = scene.jobs.kin[row], request.resources
    found: list[Change] = []
    for name, usual in _STEP.items():
        asked = getattr(need, name)
        amounts = {asked * part // of for part, of in _PARTS}
        amounts.add(_free_now(scene, int(kin), ROOM.index(name)))
        for amount in sorted(amounts):
            step = usual if amount >= usual else max(1, usual // 4)
            to = amount // step * step
            if asked // 4 <= to < asked and to > 0:
                found.append(_less_of(request, name, to))
    return found


def _less_of(request: Request, name: str, to: int) -> Change:
    code, key = _CODE_OF[name]
    asked: int = getattr(request.resources, name)
    less: Resources = changed(request.resources, **{name: to})
    other = changed(request, resources=less)
    return Change(Relaxation(code, {key: to}), _part_ppm(asked, to), other)


def _free_now(scene: Scene, kin: int, resource: int) -> int:
    """Return the most of one thing that a node has free where all else that is needed is free."""
    places, need = scene.places, scene.kins.need[kin]
    pool = places.traits[:, POOL]
    free: Ints = np.minimum(places.free, places.lent[pool])
    others = np.arange(len(need)) != resource
    suits = (scene.kins.rank[kin][pool] != NO_TRADE) & (free >= need)[:, others].all(axis=1)
    wants = scene.kins.wants[kin]
    suits &= (wants == 0) | (places.traits[:, CLASS] == wants)
    return max(0, int(free[suits, resource].max())) if suits.any() else 0


def _shorter(scene: Scene, row: int, request: Request, kept: Kept) -> list[Change]:
    """Return the job so short that it is gone when what is kept for another is needed."""
    length_s, to_s = int(scene.jobs.length[row]) // MILLI, int(kept.at[0]) // MILLI
    if kept.at[0] == LARGEST or not 0 < to_s < length_s or kept.at[1] == row:
        return []
    relaxation = Relaxation("shorter_task", {"to_s": to_s})
    return [Change(relaxation, _part_ppm(length_s, to_s), request, expected_s=to_s)]


def _part_ppm(had: int, to: int) -> int:
    return (had - to) * _PPM // max(1, had)
