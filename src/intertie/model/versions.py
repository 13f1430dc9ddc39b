"""Software versions and constraints such as ``>=3.11,<4``."""

import re

_TERM = re.compile(r"^(>=|<=|==|!=|~=|>|<|)\s*([0-9][\w.]*)$")


def satisfies(version: str, constraint: str) -> bool:
    """Return whether a version meets every comma-separated term; an empty constraint is always met.

    A bare version such as ``3.11`` means that version and what begins with it.
    """
    return all(_meets(version, term.strip()) for term in constraint.split(",") if term.strip())


def _meets(version: str, term: str) -> bool:
    match = _TERM.match(term)
    if match is None:
        return False
    sign, wanted = match.groups()
    have, want = _key(version), _key(wanted)
    if sign in ("", "=="):
        return have[: len(want)] == want
    if sign == "!=":
        return have[: len(want)] != want
    if sign == "~=":
        return have >= want and have[: len(want) - 1] == want[:-1]
    return {">=": have >= want, "<=": have <= want, ">": have > want, "<": have < want}[sign]


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
