"""Terminals and ports on a leased machine: user, door, agent and sandbox are all real."""

import hashlib
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from intertie.cli.embedded import EmbeddedNetwork
from intertie.client import IntertieError, NotFound, Refused
from intertie.client.sessions import Forward, NotThere, SessionOver, session_spec, wait_until_open
from tests.support.live import River, wait_until
from tests.support.terminals import Command, Screen

LIGHT = {"cpus": 0.2, "memory": "128MiB", "disk": "100MiB"}
PORT = 7000
ECHO = f"""
import socketserver, threading
class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        while data := self.rfile.read1(65536):
            self.wfile.write(data)
server = socketserver.ThreadingTCPServer(("127.0.0.1", {PORT}), Echo)
print("re" + "ady", flush=True)
server.serve_forever()
"""
Open = Callable[..., str]


@pytest.fixture(name="open_session")
def _open_session(river: River) -> Iterator[Open]:
    """Open sessions that are cancelled afterwards."""
    opened: list[str] = []

    def open_session(idle_s: int = 600, **known: Any) -> str:
        spec = {"name": "session", "resources": LIGHT, "time_limit": "10m", **known}
        job = river.client.submit(session_spec(spec, idle_s)).id
        opened.append(job)
        wait_until_open(river.client, job)
        return job

    yield open_session
    for job in opened:
        river.client.cancel(job)
        river.client.wait(job, timeout_s=60)


def test_a_shell_runs_what_is_typed_and_its_exit_code_comes_back(
    river: River, open_session: Open
) -> None:
    job = open_session()
    screen = Screen(river.client, job)
    screen.type("echo $((6*7))\n")
    screen.until(r"\r42\r\n")
    screen.type("exit 7\n")
    assert screen.code() == 7
    ended = river.client.wait(job)
    assert ended.outcome == "done"
    receipt = river.client.receipt(job)
    assert receipt.sum_micro == 0
    assert receipt.paid_micro > 0


def test_the_terminal_has_the_size_of_the_users_and_follows_it(
    river: River, open_session: Open
) -> None:
    screen = Screen(river.client, open_session(), window=(50, 132))
    screen.type("stty size\n")
    screen.until(r"\r50 132\r\n")
    screen.terminal.resize(20, 61)
    screen.type("stty size\n")
    screen.until(r"\r20 61\r\n")


def test_ctrl_c_reaches_the_program_and_leaves_the_shell(river: River, open_session: Open) -> None:
    screen = Screen(river.client, open_session())
    # The program itself says that it has begun: until then the shell would be interrupted.
    screen.type("sh -c \"echo be''gun; exec sleep 1000\"\n")
    screen.until(r"\rbegun\r\n")
    screen.type("\x03")
    screen.type("echo code=$?\n")
    screen.until(r"\rcode=130\r\n")


def test_two_terminals_share_one_session_and_the_last_one_ends_it(
    river: River, open_session: Open
) -> None:
    job = open_session()
    first, second = Screen(river.client, job), Screen(river.client, job)
    first.type("echo here > shared; echo do''ne\n")
    first.until("done")
    second.type("cat shared\n")
    second.until(r"\rhere\r\n")
    first.type("exit\n")
    assert first.code() == 0
    second.type("echo still $((1+1))\n")
    second.until("still 2")
    assert river.client.job(job).state == "running"
    second.type("exit 3\n")
    assert second.code() == 3
    assert river.client.wait(job).outcome == "done"


def test_a_program_runs_in_place_of_the_shell(river: River, open_session: Open) -> None:
    command = ["sh", "-c", 'echo "$0"; test -t 0; exit $?', "with 'quotes' and ünicode"]
    screen = Screen(river.client, open_session(), command=command)
    screen.until("with 'quotes' and ünicode")
    assert screen.code() == 0


def test_a_program_that_is_not_there_ends_with_127_and_says_so(
    river: River, open_session: Open
) -> None:
    screen = Screen(river.client, open_session(), command=["no-such-program"])
    screen.until("no-such-program: No such file or directory")
    assert screen.code() == 127


def test_an_idle_session_ends_by_itself_and_is_settled(river: River, open_session: Open) -> None:
    job = open_session(idle_s=1)
    ended = river.client.wait(job, timeout_s=60)
    assert (ended.state, ended.outcome) == ("settled", "done")
    assert "nobody was connected for 1 s" in "".join(river.client.logs(job))
    assert river.client.receipt(job).held_micro == 0
    with pytest.raises(SessionOver):
        wait_until_open(river.client, job)


def test_a_connection_keeps_a_silent_session_from_being_idle(
    river: River, open_session: Open
) -> None:
    job = open_session(idle_s=1)
    screen = Screen(river.client, job)
    screen.type("sleep 3; echo wo''ke\n")
    screen.until("woke")
    assert river.client.job(job).state == "running"


@pytest.mark.parametrize("victim", ["door", "agent workstation"])
def test_a_terminal_outlives_its_door_and_its_agent_and_nothing_is_lost_or_said_twice(
    river: River, open_session: Open, victim: str
) -> None:
    screen = Screen(river.client, open_session())
    screen.type("stty -echo; for i in $(seq 1000 1099); do echo $i; sleep 0.05; done\n")
    screen.until("1005")
    [process] = [each for each in river.network.processes() if each.name == victim]
    process.kill()
    screen.type("echo typed meanwhile\n")
    process.start()
    screen.until(r"typed meanwhile\r\n")
    assert screen.losses == 1
    counted = re.findall(rb"(10\d\d)\r\n", screen.printed)
    assert [int(each) for each in counted] == list(range(1000, 1100))


def test_who_comes_back_by_name_sees_the_last_screenful(river: River, open_session: Open) -> None:
    job = open_session()
    first = Screen(river.client, job)
    first.type("stty -echo; seq 2000 2999; echo PS1=\n")
    first.until(r"\n2999\r\n")  # not the line that was typed
    first.terminal.leave()
    assert first.code() is None
    second = Screen(river.client, job, name=first.terminal.name, window=(10, 80))
    second.until("2999")
    assert b"2995" in second.printed
    assert b"2900" not in second.printed
    second.type("exit 5\n")
    assert second.code() == 5


def test_a_terminal_that_is_not_there_is_refused_by_name(river: River, open_session: Open) -> None:
    screen = Screen(river.client, open_session(), name="nobody")
    with pytest.raises(NotThere, match="'nobody'"):
        screen.code()


def test_a_stranger_finds_no_session(river: River, open_session: Open) -> None:
    screen = Screen(river.stranger, open_session())
    with pytest.raises(NotFound):
        screen.code()


def test_a_batch_job_has_no_session(river: River) -> None:
    job = river.client.submit({"command": ["true"], "resources": LIGHT, "time_limit": "1m"})
    with pytest.raises(IntertieError) as refused:
        Screen(river.client, job.id).code()
    assert refused.value.code == "no_session"
    river.client.wait(job)


def test_every_byte_survives_a_forwarded_port_with_flat_memory(
    river: River, open_session: Open
) -> None:
    job = open_session()
    screen = Screen(river.client, job, command=["python3", "-c", ECHO])
    screen.until("ready")
    forward = Forward(river.client, job, PORT, 0)
    _echoed(forward.local_port, os.urandom(1 << 20))
    before = _peaks(river)
    content = os.urandom(10 << 20)
    assert _echoed(forward.local_port, content) == hashlib.sha256(content).hexdigest()
    grown = {name: peak - before[name] for name, peak in _peaks(river).items()}
    assert all(each < 6 << 20 for each in grown.values()), grown
    forward.close()


def test_a_port_where_nobody_listens_closes_and_the_session_stays(
    river: River, open_session: Open
) -> None:
    job = open_session()
    forward = Forward(river.client, job, 7001, 0)
    with socket.create_connection(("127.0.0.1", forward.local_port)) as line:
        assert line.recv(1) == b""
    forward.close()
    assert river.client.job(job).state == "running"


def test_the_agent_listens_on_no_port(river: River, open_session: Open) -> None:
    screen = Screen(river.client, open_session())
    screen.type("echo he''re\n")
    screen.until("here")
    agent = psutil.Process(_pid(river, "agent workstation"))
    for process in (agent, *agent.children(recursive=True)):
        lines = process.net_connections(kind="inet")
        assert [each for each in lines if each.status == psutil.CONN_LISTEN] == []


def test_the_command_lends_its_terminal_and_gives_it_back(river: River) -> None:
    words = ["open", "--as", "alpha", "--cpus", "0.2", "--memory", "128MiB", "--time", "10m"]
    command = Command(words, river.network.data, 33, 99)
    job = command.until(r"(job-\w+)")
    command.until(r"\$ ")
    assert not command.is_as_before()
    command.type("stty size\r")
    command.until("33 99")
    command.resize(22, 66)
    command.type("stty size\r")
    command.until("22 66")
    command.type("echo be''gun; sleep 1000\r")
    command.until("begun")
    command.type("\x03exit 9\r")
    assert command.code() == 9
    assert river.client.wait(job).outcome == "done"


def test_the_command_forwards_a_port_to_the_program_in_its_terminal(river: River) -> None:
    words = ["open", "--as", "alpha", "--cpus", "0.2", "--memory", "128MiB", "--time", "10m"]
    words += ["--port", f"0:{PORT}", "--", "python3", "-c", ECHO]
    command = Command(words, river.network.data, 24, 80)
    job = command.until(r"(job-\w+)")
    port = int(command.until(r"127.0.0.1:(\d+)"))
    command.until("ready")
    assert _echoed(port, b"through") == hashlib.sha256(b"through").hexdigest()
    command.type("\x03")
    assert command.code() in (1, 130)  # as Python ends on Ctrl-C
    assert river.client.wait(job).outcome == "done"


def test_the_command_leaves_a_terminal_and_comes_back_to_it(river: River) -> None:
    words = ["open", "--as", "alpha", "--cpus", "0.2", "--memory", "128MiB", "--time", "10m"]
    first = Command(words, river.network.data, 24, 80)
    job = first.until(r"(job-\w+)")
    first.until(r"\$ ")
    first.type("echo wri''tten\r")
    first.until("written")
    first.type("\r~.")
    name = first.until(r"--terminal (\w+)")
    assert first.code() == 0
    back = ["open", "--as", "alpha", "--job", job, "--terminal", name]
    second = Command(back, river.network.data, 24, 80)
    second.until("written")
    os.kill(second.pid, signal.SIGTERM)
    second.until("echo|written")
    assert second.code() == 128 + signal.SIGTERM
    assert river.client.job(job).state == "running"
    river.client.cancel(job)
    river.client.wait(job)


def _echoed(port: int, content: bytes) -> str:
    """Send content through a port that echoes; return the hash of what came back."""
    digest = hashlib.sha256()
    with socket.create_connection(("127.0.0.1", port)) as line:
        sending = threading.Thread(target=_send, args=(line, content))
        sending.start()
        while data := line.recv(65536):
            digest.update(data)
        sending.join()
    return digest.hexdigest()


def _send(line: socket.socket, content: bytes) -> None:
    line.sendall(content)
    line.shutdown(socket.SHUT_WR)


def _pid(river: River, name: str) -> int:
    [process] = [each for each in river.network.processes() if each.name == name]
    return process.pid


def _peaks(river: River) -> dict[str, int]:
    """Return the most memory that door and agent ever had, in bytes."""
    found = {}
    for name in ("door", "agent workstation"):
        status = Path(f"/proc/{_pid(river, name)}/status").read_text()
        [peak] = re.findall(r"VmHWM:\s+(\d+) kB", status)
        found[name] = int(peak) << 10
    return found


def test_an_owner_who_offers_no_sessions_gets_none(tmp_path: Path) -> None:
    with EmbeddedNetwork(tmp_path / "network") as network:
        operator = network.client()
        network.keep_token("group", operator.create_project("group", trial=10).token)
        token = operator.create_provider("lab").enrol_token
        network.add_agent("desk", {"enrol_token": token, "lent_cpus": 1, "sessions": False})
        wait_until(lambda: any(offer.score for offer in operator.offers()), network)
        [offer] = operator.offers()
        assert "sessions" not in offer.abilities
        client = network.client("group")
        with pytest.raises(Refused, match="The pool desk offers no sessions"):
            client.submit(session_spec({"resources": LIGHT, "time_limit": "1m"}, 60))
