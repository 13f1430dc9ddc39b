"""What is wrong with a SkyPilot task file is named with its fix."""

import pytest

from intertie.client import SpecError, from_sky
from intertie.client.imports import is_sky


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "task: it must hold fields such as"),
        ("- a\n", "task: it must hold fields such as"),
        ("run: [\n", "task: it is not valid YAML"),
        ("name: a\n---\nrun: b\n---\nrun: c\n", "task: it holds several tasks"),
        ("resources: {cpus: 2}\n", "run: it is missing"),
        ("run: [a, b]\n", "run: it must be text"),
        ("run: a\nnum_nodes: 0\n", "num_nodes: write a number of nodes"),
        ("run: a\nenvs: [X]\n", "envs: it must be names with values"),
        ("run: a\nresources: big\n", "resources: it must be names with values"),
        ("run: a\nresources: {cpus: many}\n", "resources.cpus: write a number"),
        ("run: a\nresources: {cpus: 4GB}\n", "resources.cpus: write a number"),
        ("run: a\nresources: {memory: -1}\n", "resources.memory: write a number"),
        ("run: a\nresources: {accelerators: {A100: x}}\n", "accelerators: write a class"),
        ("run: a\nresources: {accelerators: []}\n", "accelerators: write a class"),
    ],
)
def test_a_wrong_task_file_is_refused_with_the_field_and_the_fix(text: str, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        from_sky(text)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "is_one"),
    [
        ({"run": "a"}, True),
        ({"setup": "a", "resources": {}}, True),
        ({"command": ["a"]}, False),
        ({"script": "a", "run": "b"}, False),
        ({"name": "a"}, False),
        (["run"], False),
        (None, False),
    ],
)
def test_a_task_file_is_known_by_its_fields(fields: object, is_one: bool) -> None:
    assert is_sky(fields) == is_one
