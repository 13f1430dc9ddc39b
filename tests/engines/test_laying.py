"""What engines lay into an attempt's folder, and what the shim makes of it on a site's node."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.host.sandbox import find_bubblewrap
from intertie.engines.kubernetes import folders
from intertie.engines.ray import launching
from intertie.engines.ray.settings import RaySettings
from intertie.engines.shim.archive import write_shim
from intertie.engines.shim.laying import remove_tree, told
from intertie.engines.shim.procfs import write_new
from intertie.engines.slurm.launching import Launch
from intertie.wire.sync import LeaseBody
from tests.engines.hosting import a_body, an_engine, log_of, run

ODD = "a 'b' \"c\" $HOME `id` \\ é 算 \n end"
SHOW = "env | grep -E '^(INTERTIE_|OMP_|OPENBLAS_|MKL_)' | sort"


def a_folder(root: Path) -> Path:
    folder = root / "lease-0001-1"
    folder.mkdir(parents=True)
    return folder


def lay(engine: str, folder: Path, body: LeaseBody) -> None:
    """Lay an attempt's folder as the engine does, without its site."""
    if engine == "slurm":
        spec = Launch("/usr/bin/python3", 1 << 20, 5, 5).prepare(folder, body)
        write_new(folder / "spec.json", json.dumps(spec))
    else:
        own = RaySettings(folder.parent, "http://127.0.0.1:9", log_bytes_max=1 << 20, grace_s=5)
        launching.prepare(folder, body, own, "", {})


def run_on_a_node(folder: Path, **known: str) -> tuple[dict[str, Any], str]:
    """Run the shim as a node does: this system's Python, another locale; its status and log."""
    shim = write_shim(folder.parent).parent
    argv = launching.shim_argv("/usr/bin/python3", shim, folder)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"} | known
    subprocess.run(argv, env=environment, timeout=40, check=True)
    return json.loads((folder / "status.json").read_text()), (folder / "log").read_text()


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_a_job_at_a_site_is_told_what_it_is_told_on_a_host(engine: str, tmp_path: Path) -> None:
    body = a_body(script=SHOW, task_index=3, attempt=2, cpus_milli=2500, checkpoint_path="saved")
    folder = a_folder(tmp_path / "site")
    lay(engine, folder, body)
    at_site = run_on_a_node(folder)[1]
    with an_engine(tmp_path / "pool") as host:
        run(host, body)
        assert at_site == log_of(host)
    assert "INTERTIE_ATTEMPT=2\nINTERTIE_CHECKPOINT=saved\nINTERTIE_JOB=job-0001\n" in at_site
    assert "OMP_NUM_THREADS=2\n" in at_site


def test_a_pod_is_told_what_a_job_is_told_on_a_host(tmp_path: Path) -> None:
    body = a_body("true", task_index=3, environment={"ODD": ODD})
    folders.prepare(tmp_path, os.geteuid(), body)
    launcher = str(tmp_path / "job" / "launch")
    shown = subprocess.check_output(["/bin/sh", "-c", f". {launcher}; env -0"], text=True)
    seen = dict(row.split("=", 1) for row in shown.split("\0") if row)
    assert {name: seen[name] for name in told(body)} == told(body)


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_words_and_values_arrive_byte_for_byte_whatever_the_nodes_locale(
    engine: str, tmp_path: Path
) -> None:
    folder = a_folder(tmp_path)
    body = a_body("sh", "-c", 'printf "%s|%s" "$ODD" "$1"', "sh", ODD, environment={"ODD": ODD})
    lay(engine, folder, body)
    status, log = run_on_a_node(folder, ODD="of the site", CUDA_VISIBLE_DEVICES="3")
    assert (status["cause"], status["exit_code"]) == ("exited", 0), log
    assert log == f"{ODD}|{ODD}"


@pytest.mark.parametrize("engine", ["slurm", "ray"])
@pytest.mark.parametrize("first", ["", "#!/usr/bin/env python3\n"])
def test_a_script_travels_in_the_spec_and_no_other_user_may_read_it(
    engine: str, first: str, tmp_path: Path
) -> None:
    folder = a_folder(tmp_path)
    lay(engine, folder, a_body(script=f"{first}print = exit(7)\n" if first else "exit 7"))
    assert sorted(path.name for path in folder.iterdir()) == ["spec.json", "work"]
    assert (folder / "spec.json").stat().st_mode & 0o077 == 0
    status, log = run_on_a_node(folder)
    assert status["exit_code"] == 7, log
    assert (folder / "script").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("engine", ["slurm", "ray"])
def test_a_variable_that_cannot_be_set_is_refused_by_name(engine: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="environment: 'a b'"):
        lay(engine, a_folder(tmp_path), a_body("true", environment={"a b": "1"}))


@pytest.mark.parametrize("has_network", [False, True])
def test_the_sandbox_knows_localhost_and_its_own_name(has_network: bool, tmp_path: Path) -> None:
    if not find_bubblewrap():
        pytest.skip("no bubblewrap that works here; install it with apt-get install bubblewrap")
    ask = "from socket import *; print(*map(gethostbyname, ('localhost', gethostname())))"
    with an_engine(tmp_path / "pool") as engine:
        seen = run(engine, a_body("python3", "-c", ask, network=has_network))
        assert (seen.exit_code, log_of(engine)) == (0, "127.0.0.1 127.0.0.1\n")


def test_a_tree_with_shut_folders_and_links_goes_and_what_links_led_to_stays(
    tmp_path: Path,
) -> None:
    kept, folder = tmp_path / "kept", tmp_path / "folder"
    for path in (kept, folder / "shut" / "deep"):
        path.mkdir(parents=True)
    (kept / "file").write_text("mine")
    (folder / "shut" / "link").symlink_to(kept)
    (folder / "shut").chmod(0)
    remove_tree(folder)
    assert not folder.exists()
    assert (kept / "file").read_text() == "mine"
    remove_tree(folder)
