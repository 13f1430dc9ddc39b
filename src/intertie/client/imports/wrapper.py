"""The script that a job runs: it makes what Slurm would have made, then runs the one brought.

The brought script goes along untouched and runs under its own interpreter; srun and scontrol lie
beside it on PATH. The wrapper itself needs a POSIX shell and the usual small tools only.
"""

import shlex
from dataclasses import dataclass, field
from hashlib import sha256

from intertie.client.imports.programs import SCONTROL, SRUN
from intertie.client.imports.values import Signal

# A job's number is written in its id in Crockford's base 32; Slurm's scripts want a plain number.
_NUMBER = """\
number=0 rest=${INTERTIE_JOB##*-}
while [ -n "$rest" ]; do
  digit=${rest%"${rest#?}"} rest=${rest#?} below=0123456789abcdefghjkmnpqrstvwxyz
  below=${below%%"$digit"*} number=$((number * 32 + ${#below}))
done
"""
_IDS = "export SLURM_JOB_ID=$number SLURM_JOBID=$number\n"
_ARRAY_IDS = """\
export SLURM_ARRAY_JOB_ID=$number
number=$((number * 100000 + ${INTERTIE_TASK_INDEX:-0}))
"""
_PLACE = """\
node=$(uname -n) node=${node%%.*} now=$(date +%s)
export INTERTIE_SBATCH="$PWD/.intertie/sbatch"
export SLURM_SUBMIT_DIR="$PWD" SLURM_SUBMIT_HOST="$node" SLURMD_NODENAME="$node"
export SLURM_JOB_NODELIST="$node" SLURM_NODELIST="$node" SLURM_TMPDIR="$INTERTIE_SBATCH/tmp"
SLURM_JOB_USER=$(id -un 2>/dev/null || id -u) SLURM_JOB_UID=$(id -u)
export SLURM_JOB_USER SLURM_JOB_UID SLURM_JOB_START_TIME="$now"
[ "${INTERTIE_ATTEMPT:-1}" -le 1 ] || export SLURM_RESTART_COUNT=$((INTERTIE_ATTEMPT - 1))
mkdir -p "$INTERTIE_SBATCH/bin" "$INTERTIE_SBATCH/steps" "$SLURM_TMPDIR" || exit 1
PATH=$INTERTIE_SBATCH/bin:$PATH
"""
_ONCE = """\
if [ -n "${SLURM_RESTART_COUNT:-}" ]; then
  echo "intertie: --no-requeue: this task was begun before and is not begun again" >&2
  exit 1
fi
"""
# tee lives through the signals that stop a job, so that a job's last words are not lost; what a
# job leaves behind may hold the pipe open, so there is an end to waiting.
_TEE = """\
{name}={file}
mkdir -p "$(dirname -- "${name}")" && mkfifo "$INTERTIE_SBATCH/{name}" || exit 1
(trap '' HUP INT TERM; exec tee {append}-- "${name}" {to}) <"$INTERTIE_SBATCH/{name}" &
tees="$tees $!"
"""
_RUN = """\
trap : HUP INT TERM
sh -c 'echo "$$" >"$INTERTIE_SBATCH/pid"; exec "$@"' sh \\
  {environment}{interpreter} "$INTERTIE_SBATCH/slurm_script"{arguments}{redirects}
code=$?
"""
_END = """\
(sleep 2; kill -9 $tees) >/dev/null 2>&1 &
for each in $tees; do wait "$each"; done
"""
_SIGNAL_SCRIPT = 'kill -s {name} "$(cat "$INTERTIE_SBATCH/pid")"'
_SIGNAL_STEPS = """\
for each in "$INTERTIE_SBATCH"/steps/*/*; do kill -s {name} "${{each##*/}}"; done"""
# A login shell reads the site's profile, which may set PATH anew: bash takes functions along.
_FUNCTIONS = """\
env "BASH_FUNC_srun%%=() {{ \\"$INTERTIE_SBATCH/bin/srun\\" \\"\\$@\\"; }}" \\
  "BASH_FUNC_scontrol%%=() {{ \\"$INTERTIE_SBATCH/bin/scontrol\\" \\"\\$@\\"; }}" \\
  """


@dataclass(frozen=True)
class Wrapped:
    """What the wrapper has to know. `output` and the like are words of a shell, empty if none."""

    text: str
    arguments: tuple[str, ...] = ()
    time_limit_s: int = 0
    is_array: bool = False
    runs_once: bool = False
    folder: str = ""
    output: str = ""
    error: str = ""
    input: str = ""
    appends: bool = False
    signal: Signal | None = None
    exports: dict[str, str] = field(default_factory=dict)


def interpreter_of(text: str) -> list[str]:
    """Return the program that a script names in its first line, with its options."""
    return text.partition("\n")[0].removeprefix("#!").split()


def wrap(job: Wrapped) -> str:
    """Return the script that runs another as Slurm would."""
    parts = ["#!/bin/sh\n# An sbatch script, as `intertie run` brought it.\n", _NUMBER]
    parts += [_ARRAY_IDS] if job.is_array else []
    parts += [_IDS, _PLACE, f"export SLURM_JOB_END_TIME=$((now + {job.time_limit_s}))\n"]
    parts += [_ONCE] if job.runs_once else []
    parts += [f"export {name}={shlex.quote(value)}\n" for name, value in job.exports.items()]
    parts.append(written("slurm_script", job.text))
    parts += [written(f"bin/{name}", text) for name, text in _PROGRAMS.items()]
    parts.append('chmod +x "$INTERTIE_SBATCH"/bin/*\n')
    if job.folder:
        word = shlex.quote(job.folder)
        parts.append(f"mkdir -p -- {word} && cd -- {word} || exit 1\n")
    return "".join([*parts, *_run(job)])


def written(name: str, text: str) -> str:
    """Return the lines of a shell that write a text to a file, whatever the text holds."""
    end = f"END-{sha256(text.encode()).hexdigest()[:16]}"
    closed = text if text.endswith("\n") else f"{text}\n"
    return f"cat >\"$INTERTIE_SBATCH/{name}\" <<'{end}'\n{closed}{end}\n"


_PROGRAMS = {"srun": SRUN, "scontrol": SCONTROL}


def _run(job: Wrapped) -> list[str]:
    interpreter = interpreter_of(job.text)
    append = "-a " if job.appends else ""
    parts = ["tees=\n"]
    redirects = f" <{job.input}" if job.input else ""
    if job.output:
        parts.append(_TEE.format(name="out", file=job.output, append=append, to=""))
        redirects += ' >"$INTERTIE_SBATCH/out"'
    if job.error:
        parts.append(_TEE.format(name="err", file=job.error, append=append, to=">&2"))
        redirects += ' 2>"$INTERTIE_SBATCH/err"'
    elif job.output:
        redirects += " 2>&1"
    parts += [_timer(job.signal, job.time_limit_s)] if job.signal else []
    is_login = interpreter[0].endswith("bash")
    parts.append(
        _RUN.format(
            environment=_FUNCTIONS.format() if is_login else "",
            interpreter=shlex.join(interpreter),
            arguments="".join(f" {shlex.quote(word)}" for word in job.arguments),
            redirects=redirects,
        )
    )
    return [*parts, *([_END] if job.output or job.error else []), 'exit "$code"\n']


def _timer(signal: Signal, time_limit_s: int) -> str:
    send = _SIGNAL_SCRIPT if signal.to_script else _SIGNAL_STEPS
    after_s = max(0, time_limit_s - signal.before_s)
    return f"(sleep {after_s}; {send.format(name=signal.name)}) >/dev/null 2>&1 &\n"
