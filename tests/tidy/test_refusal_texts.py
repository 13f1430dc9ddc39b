"""Every refusal that the code can give has its text in every language, with its values."""

import ast
from pathlib import Path

import pytest

from intertie.catalogue.texts import keys, languages, placeholders

ROOT = Path(__file__).parents[2] / "src" / "intertie"
GROUPS = {"Refusal": "refusal", "Relaxation": "relaxation"}


def given() -> list[tuple[str, str, frozenset[str] | None, str]]:
    """Return (group, code, names of its values or None where unknown, place)."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id not in GROUPS or not node.args:
                continue
            if not isinstance(node.args[0], ast.Constant):
                continue
            place = f"{path.relative_to(ROOT)}:{node.lineno}"
            code = str(node.args[0].value)
            found.append((GROUPS[node.func.id], code, _names(node), place))
    return found


def _names(call: ast.Call) -> frozenset[str] | None:
    if len(call.args) < 2:
        return frozenset()
    values = call.args[1]
    if not isinstance(values, ast.Dict):
        return None
    return frozenset(str(k.value) for k in values.keys if isinstance(k, ast.Constant))


@pytest.mark.parametrize("lang", languages())
def test_every_refusal_in_the_code_has_a_text_with_its_values(lang: str) -> None:
    texts = keys(lang)
    wrong = []
    for group, code, names, place in given():
        pattern = texts.get(f"{group}.{code}")
        if pattern is None:
            wrong.append(f"{place}: {group}.{code} has no text")
        elif names is not None and not placeholders(pattern) <= names:
            missing = sorted(placeholders(pattern) - names)
            wrong.append(f"{place}: {group}.{code} does not give {missing}, only {sorted(names)}")
    assert not wrong, "\n".join(wrong)


def test_the_code_gives_refusals_so_the_check_above_can_fail() -> None:
    assert len(given()) > 30
