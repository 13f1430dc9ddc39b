"""What a script's own commands lean on that only its site has: found by reading, not by running."""

import re
from collections.abc import Iterator

from intertie.client.imports.notes import Level, Notes

_START = r"(?:^|[;&|(`]|\b(?:then|do|else|time|exec|nohup|if|while)\s)\s*(?:\w+=\S*\s+)*"
_FOLDERS = (
    r"scratch|home|project|projects|gpfs\w*|lustre|nfs|mnt|users|global|p?work|data|lfs|fs\d*"
)
_FOUND: tuple[tuple[Level, str, str], ...] = (
    ("unmet", "site_modules", rf"{_START}(?:module|ml|spack)\s+\S+.*"),
    ("unmet", "site_conda", rf"{_START}(?:conda|mamba|micromamba|source)\s+activate\b.*"),
    ("unmet", "site_container", rf"{_START}(?:singularity|apptainer|podman|docker|shifter)\s.*"),
    ("unmet", "site_file", rf"{_START}(?:source|\.)\s+[\"']?(?:/|~|\$HOME|\$\{{HOME).*"),
    ("unmet", "no_chain", rf"{_START}(?:jid=\$\()?sbatch\s.*"),
    (
        "unmet",
        "no_slurm_command",
        rf"{_START}(?:squeue|scancel|sacct|sstat|sinfo|sbcast|salloc)\b.*",
    ),
    ("unmet", "no_slurm_command", rf"{_START}scontrol\s+(?!show\s+hostname).*"),
    ("unmet", "srun_together", r"\bsrun\b.*(?:--multi-prog|--het-group|--pack-group).*"),
    ("unmet", "srun_mpi", r"\bsrun\b.*--mpi[= ](?!none).*"),
    ("changed", "needs_mpi", rf"{_START}(?:mpirun|mpiexec)\b.*"),
    (
        "unmet",
        "site_variable",
        r"\$\{?(?:SCRATCH|WORK|PROJECT|STORE|FASTSCRATCH|LOCAL_SCRATCH|EBROOT\w+)\b\}?",
    ),
    ("unmet", "site_path", rf"(?<![\w.$}}/])/(?:{_FOLDERS})/[\w./${{}}-]+"),
)
_SRUN = re.compile(rf"{_START}srun\s(?!.*(?:-n ?1\b|--ntasks[= ]1\b|--mpi)).*")
_NETWORK = re.compile(
    rf"{_START}(?:wget|curl|rsync|scp|aws|gsutil|uv|git\s+(?:clone|pull|fetch)"
    r"|(?:python3?\s+-m\s+)?pip3?\s+(?:install|download)|(?:conda|mamba)\s+(?:install|create)"
    r"|apt(?:-get)?\s+\S*\s*install|npm\s+install|huggingface-cli\s|hf\s+download)\b.*"
)
_SHELLS = ("sh", "bash", "dash", "ksh", "zsh")
_EVERYWHERE = ("sh", "bash", "python3", "env")
WIDTH_MAX = 60


def look(text: str, interpreter: list[str], notes: Notes, copies: int = 1) -> bool:
    """Note what only a site has, each kind once; return whether the script needs the network.

    `copies` is how many srun starts.
    """
    program = interpreter[0].rpartition("/")[2]
    if program == "env" and len(interpreter) > 1:
        program = interpreter[-1 if len(interpreter) == 2 else 1]
    if program not in _EVERYWHERE:
        notes.note("changed", " ".join(interpreter), "needs_interpreter", 1, program=program)
    if program not in _SHELLS:
        return False
    needs_network = False
    said: set[str] = set()
    for number, line in _commands(text):
        if copies > 1 and "srun" not in said and (match := _SRUN.search(line)):
            said.add("srun")
            notes.note("changed", _short(match[0]), "srun_copies", number, copies=copies)
        for level, code, pattern in _FOUND:
            match = re.search(pattern, line)
            if match and code not in said:
                said.add(code)
                notes.note(level, _short(match[0]), code, number)
        match = _NETWORK.search(line)
        if match and not needs_network:
            needs_network = True
            notes.note("changed", _short(match[0]), "network_on", number)
    return needs_network


def _commands(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.lstrip().startswith("#"):
            yield number, line


def _short(found: str) -> str:
    told = found.strip(" \t;&|(`")
    return told if len(told) <= WIDTH_MAX else f"{told[: WIDTH_MAX - 1]}…"
