"""The one place that starts Slurm's commands: no shell, a clean environment, a time-out."""

import os
import subprocess

from intertie.engines.protocol import EngineUnavailable

TIMEOUT_S = 30.0
KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LD_LIBRARY_PATH")
# What a command says when the site is away, rather than when it says no.
AWAY = (
    "unable to contact",
    "timed out",
    "connect failure",
    "connection refused",
    "zero bytes were transmitted",
    "authentication error",
    "munge",
    "standby mode",
    "temporarily unable",
    "resource temporarily unavailable",
    "unable to process configuration",
    "unable to establish configuration",
    "no such file or directory, retrying",
    "communication",
)


class SiteRefuses(Exception):
    """The site answered, and it said no; the text is its own word."""


class Runner:
    """Runs one of Slurm's commands and returns what it printed."""

    def __init__(self, conf: str = "", timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self.environment = environment(conf)

    def run(self, argv: list[str], script: str = "", *, says_on_error: bool = False) -> str:
        """Return a command's standard output, or its standard error where it speaks there.

        SiteRefuses if the site says no; EngineUnavailable if it cannot be asked.
        """
        try:
            done = subprocess.run(
                argv,
                input=script,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env=self.environment,
                timeout=self.timeout_s,
                check=False,
                start_new_session=True,  # a signal for the agent is none for a command in flight
            )
        except FileNotFoundError as error:
            raise EngineUnavailable(f"no {argv[0]} here; install Slurm's commands") from error
        except subprocess.TimeoutExpired as error:
            text = f"{argv[0]} gave no answer in {self.timeout_s:.0f} s"
            raise EngineUnavailable(text) from error
        except OSError as error:
            raise EngineUnavailable(f"{argv[0]} could not be started: {error}") from error
        if done.returncode:
            raise failure(argv[0], done.stderr or done.stdout)
        return done.stderr if says_on_error else done.stdout


def environment(conf: str) -> dict[str, str]:
    """Return what Slurm's commands see.

    Defaults that somebody set for their own jobs (SBATCH_*, SQUEUE_*, SLURM_*) stay outside;
    times come as seconds since the epoch.
    """
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    conf = conf or os.environ.get("SLURM_CONF", "")
    told = {"LANG": "C.UTF-8", "TZ": "UTC", "SLURM_TIME_FORMAT": "%s"}
    return kept | told | ({"SLURM_CONF": conf} if conf else {})


def failure(asked: str, text: str) -> Exception:
    """Return the error that a text means: EngineUnavailable where the site is away."""
    words = text.strip()[-1000:] or f"{asked} failed and did not say why"
    if any(each in words.lower() for each in AWAY):
        return EngineUnavailable(words)
    return SiteRefuses(words)
