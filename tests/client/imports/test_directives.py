"""How #SBATCH lines are read: all ways to write an option mean the same, and sbatch agrees."""

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from intertie.client import SpecError, from_sbatch
from intertie.client.imports import directives
from intertie.client.imports.notes import Notes
from intertie.client.imports.options import OPTIONS, meant
from tests.client.imports.seen import SCRIPTS

NEEDS = [option for option in OPTIONS.values() if option.value == "needs"]
VALUES = st.text("abcXYZ019 ._-%:,@=#'\"\\[]/é", min_size=1, max_size=12)


def read(*lines: str) -> list[tuple[str, str]]:
    notes = Notes()
    text = "\n".join(["#!/bin/bash", *(f"#SBATCH {line}" for line in lines), "true", ""])
    asked = directives.read(text, notes)
    notes.check()
    return [(each.option.name, each.value) for each in asked]


def quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def written(draw: st.DrawFn) -> tuple[str, tuple[str, str]]:
    """Return one option in one of its forms, and what it must be read as."""
    option = draw(st.sampled_from(NEEDS))
    value = draw(VALUES.filter(lambda text: text.strip() == text))
    name = option.name
    shortest = next(n for n in range(1, len(name) + 1) if meant(name[:n]) == [option])
    name = name[: draw(st.integers(shortest, len(name)))]
    forms = [
        f"--{name}={quoted(value)}",
        f"--{name} {quoted(value)}",
        f'"--{name}="{quoted(value)}',
    ]
    if option.short:
        forms += [f"-{option.short}{quoted(value)}", f"-{option.short} {quoted(value)}"]
    return draw(st.sampled_from(forms)), (option.name, value)


@given(st.lists(written(), min_size=1, max_size=6), st.data())
def test_options_in_any_syntax_on_any_lines_are_read_alike(
    options: list[tuple[str, tuple[str, str]]], data: st.DataObject
) -> None:
    lines, remark = [""], st.sampled_from(["", " ", "\t", " # a remark --time=1"])
    for form, _ in options:
        lines[-1] += f"{form} "
        if data.draw(st.booleans()):
            lines[-1] += data.draw(remark)
            lines.append("")
    assert read(*lines) == [meaning for _, meaning in options]


@given(st.text(max_size=200))
@example("\x1f")
@example("\xa0")
def test_whatever_follows_sbatch_is_read_or_named_as_wrong(text: str) -> None:
    line = re.sub(r"[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029\0]", " ", text)
    notes = Notes()
    asked = directives.read(f"#!/bin/sh\n#SBATCH {line}\ntrue\n", notes)
    assert all(each.line == 2 for each in asked)
    assert all(each.field.startswith("line 2") for each in notes.errors)
    assert bool(asked or notes.errors or notes.taken) or not line.partition("#")[0].strip(" \t\\")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--time=90s", "line 2: --time: write minutes"),
        ("--mem=4GiB", "line 2: --mem: write MiB or a size"),
        ("--array=5-1", "line 2: --array: write indexes"),
        ("--array=0-200000", "has 200001 tasks"),
        ("--array=1%0", "write indexes"),
        ("-c=4", "line 2: --cpus-per-task: write a whole number"),
        ("--cpus-per-task=0", "write a whole number from 1"),
        ("--cpus=4", "--cpus is short for --cpus-per-gpu, --cpus-per-task"),
        ("--requeue=1", "it takes no value"),
        ("--time", "it needs a value"),
        ("time=3", "time=3 is no option"),
        ('-J "unclosed', 'the quote " is never closed'),
        ("--signal=USR3@9", "write a signal and seconds"),
        ("--gres=gpu:a100:x", "write a number or a type"),
        ("--nodes=many", "write a number or a range"),
    ],
)
def test_what_sbatch_refuses_is_refused_with_its_line_and_the_fix(line: str, says: str) -> None:
    with pytest.raises(SpecError) as refused:
        from_sbatch(f"#!/bin/bash\n#SBATCH {line}\ntrue\n")
    assert says in str(refused.value)


@pytest.mark.parametrize("text", ["", "echo hello\n", "#!\n#SBATCH -t 1\n"])
def test_a_file_without_an_interpreter_is_no_sbatch_script(text: str) -> None:
    with pytest.raises(SpecError, match="begins with #!"):
        from_sbatch(text)


# Where Slurm's own sbatch is installed it is asked how it reads the same lines.


SAID_ALIKE = [
    *("job-name", "array", "cpus-per-task", "ntasks", "dependency", "account", "partition"),
    *("qos", "comment", "licenses", "export"),
]
NOT_OURS = {"pyxis_digest", "pyxis_tag", "heterogeneous", "windows", "gres_mixed"}
READ_ALIKE = [path for path in sorted(SCRIPTS.glob("*.sbatch")) if path.stem not in NOT_OURS]
WORDS = [
    "x#y",
    "'a \"b'",
    '"a\\"b"',
    'x"y z"w',
    "a\\b",
    '"a # b" # c',
    "\ty",
    "'a' 'b'",
    "a b",
    '"c',
]
Told = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Return what sbatch says it reads in each script, nothing where it refuses it.

    It looks for a controller before it ends, and finds none after two seconds: all at once, then.
    """
    if shutil.which("sbatch") is None:
        pytest.skip("sbatch is not installed: scripts/system-packages.sh slurm-client")
    folder = tmp_path_factory.mktemp("sbatch")
    rows = ["ClusterName=x", "SlurmctldHost=localhost(127.0.0.1)", "SlurmctldPort=1"]
    rows += ["AuthType=auth/none", "MessageTimeout=2", "NodeName=n1 CPUs=1"]
    (folder / "slurm.conf").write_text("\n".join([*rows, "PartitionName=p Nodes=n1", ""]))
    scripts = {path.stem: path for path in READ_ALIKE}
    for number, word in enumerate(WORDS):
        scripts[word] = folder / f"words{number}.sh"
        scripts[word].write_text(f"#!/bin/bash\n#SBATCH -n 2 --comment={word}\ntrue\n")
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda path: defined(folder, path), scripts.values())
        return dict(zip(scripts, answers, strict=True))


def defined(folder: Path, script: Path) -> dict[str, str]:
    answer = subprocess.run(
        ["sbatch", "-vv", "--test-only", str(script)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        env={"SLURM_CONF": str(folder / "slurm.conf"), "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    return dict(re.findall(r"^sbatch: ([a-z-]+) +: (.*)$", answer.stderr, re.M))


@pytest.mark.parametrize("path", READ_ALIKE, ids=lambda path: path.stem)
def test_sbatch_itself_reads_the_scripts_alike(path: Path, told: Told) -> None:
    theirs, notes = told[path.stem], Notes()
    ours = {each.option.name: each.value for each in directives.read(path.read_text(), notes)}
    assert theirs
    assert not notes.errors
    for option in SAID_ALIKE:
        assert theirs.get(option) == ours.get(option), option
    for option in ("output", "error"):  # it has them below the folder that it is called in
        assert theirs.get(option, "").endswith(ours.get(option, "")), option


@pytest.mark.parametrize("word", WORDS)
def test_sbatch_itself_splits_words_alike(word: str, told: Told) -> None:
    notes = Notes()
    text = f"#!/bin/bash\n#SBATCH -n 2 --comment={word}\ntrue\n"
    ours = {each.option.name: each.value for each in directives.read(text, notes)}
    assert bool(told[word]) != bool(notes.errors)
    assert notes.errors or told[word].get("comment") == ours["comment"]
