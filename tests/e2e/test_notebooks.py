"""A real JupyterLab on a leased machine: command, forwarded port, a kernel that computes."""

import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from intertie.cli.embedded import EmbeddedNetwork
from tests.servers.jupyter import jupyter_python
from tests.support.live import River, wait_until
from tests.support.terminals import Command

NOTEBOOK = ["open", "--as", "alpha", "--cpus", "1", "--memory", "1GiB", "--time", "20m"]
NOTEBOOK += ["--notebook", "--port", "0:8888"]


@pytest.fixture(name="network")
def _network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedNetwork]:
    """A network whose only agent runs in an environment that has JupyterLab."""
    python = str(jupyter_python())
    ours = os.pathsep.join(path for path in sys.path if path)
    monkeypatch.setenv("PYTHONPATH", ours)  # the agent itself; jobs start from a clean slate
    with EmbeddedNetwork(tmp_path / "network") as network:
        operator = network.client()
        network.keep_token("alpha", operator.create_project("alpha", trial=50).token)
        provider = operator.create_provider("lab")
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", python)
            told = {"enrol_token": provider.enrol_token, "price": "0.20", "grace": 2}
            network.add_agent("studio", told)
        wait_until(lambda: any(offer.score for offer in operator.offers()), network)
        yield network


def test_a_notebook_computes_on_the_leased_machine_and_is_paid(network: EmbeddedNetwork) -> None:
    command = Command(NOTEBOOK, network.data, 24, 200)
    job = command.until(r"(job-\w+)")
    url = command.until(r"(http://127\.0\.0\.1:\d+/lab\?token=\w+)")
    command.until(r"is running at")
    address = f"http://127.0.0.1:{urlsplit(url).port}"
    token = url.partition("token=")[2]
    with httpx.Client(base_url=address, trust_env=False, timeout=60) as browser:
        assert browser.get("/api/kernels").status_code == 403
        assert "JupyterLab" in browser.get(f"/lab?token={token}").text
        told = {"Authorization": f"token {token}"}
        kernel = browser.post("/api/kernels", headers=told).raise_for_status().json()["id"]
    source = "import os; print(6 * 7, os.getcwd(), 'INTERTIE_JOB' in os.environ)"
    assert _computed(address, kernel, token, source).split() == ["42", "/work", "True"]
    command.type("\x03")
    command.until(r"\(y/\[n\]\)")
    command.type("y\r")
    assert command.code() == 0
    assert network.client("alpha").wait(job, timeout_s=60).outcome == "done"
    assert network.client("alpha").receipt(job).paid_micro > 0


def test_a_notebook_where_nobody_has_jupyterlab_is_refused_with_the_reason(river: River) -> None:
    command = Command([*NOTEBOOK], river.network.data, 24, 200)
    command.until("jupyterlab")
    assert command.code() != 0


def _computed(address: str, kernel: str, token: str, source: str) -> str:
    """Run a cell as JupyterLab's page does; return what it printed."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
    header |= {"username": "", "session": uuid.uuid4().hex, "date": "2026-01-01T00:00:00Z"}
    content = {"code": source, "silent": False, "store_history": False, "allow_stdin": False}
    asked = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    printed = ""
    path = f"/api/kernels/{kernel}/channels?token={token}"
    with connect(re.sub("^http", "ws", address) + path, proxy=None) as line:
        line.send(json.dumps({**asked, "channel": "shell", "buffers": []}))
        while True:
            told = json.loads(line.recv(timeout=60))
            if told["parent_header"].get("msg_id") != header["msg_id"]:
                continue
            if told["msg_type"] == "stream":
                printed += told["content"]["text"]
            if told["msg_type"] == "error":
                raise AssertionError("\n".join(told["content"]["traceback"]))
            if told["msg_type"] == "status" and told["content"]["execution_state"] == "idle":
                return printed
