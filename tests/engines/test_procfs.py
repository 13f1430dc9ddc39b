"""What the shim reads of processes, on this machine's own kernel."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from intertie.engines.shim import attempts, laying, procfs
from intertie.engines.shim.archive import write_shim
from tests.engines.hosting import a_body

SHIM = [sys.executable, "-I", "-S", str(Path(procfs.__file__).parent / "__main__.py")]
TREE = "sleep 60 & sleep 60 & (sleep 60 & echo ready; wait)"


@pytest.fixture
def tree() -> Iterator[int]:
    """A shell with two children, of which one has a child of its own, begun by another thread."""
    begun: list[subprocess.Popen[str]] = []

    def begin() -> None:
        argv = ["/bin/sh", "-c", TREE]
        begun.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    [shell] = begun
    assert shell.stdout is not None
    shell.stdout.readline()
    yield shell.pid
    for pid in [*procfs.descendants(shell.pid), shell.pid]:
        subprocess.run(["kill", "-9", str(pid)], check=False)
    shell.wait()
    shell.stdout.close()


def test_a_kernel_that_lists_no_children_gives_the_same_tree(
    tree: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path(procfs.CHILDREN).exists():
        pytest.skip("this kernel lists no children: CONFIG_PROC_CHILDREN")
    listed = procfs.descendants(tree)
    monkeypatch.setattr(procfs, "CHILDREN", "/proc/no such file")
    assert len(listed) == 4
    assert sorted(listed) == sorted(procfs.descendants(tree))


def test_who_is_gone_has_no_descendants() -> None:
    assert procfs.descendants(2**22 + 1) == []


def test_a_shim_starts_without_typing_which_would_cost_it_more_than_all_it_does(
    tmp_path: Path,
) -> None:
    place = write_shim(tmp_path).parent
    said = "import sys; sys.path.insert(0, sys.argv[1]); import intertie.engines.shim.batch"
    argv = [sys.executable, "-I", "-S", "-c", f"{said}; print(*sys.modules)", str(place)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert "typing" not in done.stdout.split()


def test_what_a_short_program_took_of_memory_is_known_after_its_end(tmp_path: Path) -> None:
    take = [sys.executable, "-I", "-S", "-c", "bytearray(64 << 20)"]
    (tmp_path / "work").mkdir()
    spec = laying.spec(tmp_path, a_body(), 1000, 1) | {"argv": take}
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    subprocess.run([*SHIM, str(tmp_path)], check=True)
    status = attempts.read_status(tmp_path)
    assert status is not None
    assert (status["state"], status["exit_code"]) == ("over", 0)
    assert status["memory_peak_bytes"] >= 64 << 20
