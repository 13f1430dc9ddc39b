"""A real Kubernetes cluster on loopback: control plane, containerd and one kubelet, nothing shared.

    with KubernetesCluster() as cluster: ...

Wants the programs that scripts/kubernetes/build.sh builds, Debian's etcd-server, containerd, runc,
containernetworking-plugins and busybox, and root. Every daemon has a session of its own, writes
into the cluster's folder, and is ended by its own process number.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import pytest
import yaml

from tests.servers.container_images import write_image

T = TypeVar("T")
BUILT = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
INSTALLED = ("etcd", "containerd", "ctr", "runc", "busybox", "openssl")
PLUGINS = Path("/usr/lib/cni")
MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
IMAGE, PAUSE = "localhost/busybox:1", "localhost/pause:1"
DEADLINE_S = 90.0
IDLE_NODES = ("idle-1", "idle-2")
PORTS = ("api", "etcd", "peer", "controllers", "scheduler", "kubelet", "health")
CGROUPS = Path("/sys/fs/cgroup")

CONTAINERD = """
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{folder}/cni"
"""


def programs() -> Path:
    """Return where the programs are that scripts/kubernetes/build.sh builds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    own = os.environ.get("INTERTIE_KUBERNETES")
    return Path(own) if own else cache / "intertie" / "kubernetes-1.20.2"


def missing() -> str:
    """Return in one line what is to be done; nothing where a cluster can be had."""
    if os.geteuid() != 0:
        return "needs root: a kubelet mounts, and makes control groups"
    if not all((programs() / name).exists() for name in BUILT):
        return "no Kubernetes is built: run scripts/kubernetes/build.sh"
    lacking = [name for name in INSTALLED if shutil.which(name) is None]
    if lacking or not (PLUGINS / "bridge").exists():
        return (
            f"no {', '.join(lacking or ['CNI plug-ins'])} here (Debian: apt-get install"
            " etcd-server containerd runc containernetworking-plugins busybox)"
        )
    return ""


class KubernetesCluster:
    """A control plane and one real node, which is this machine. `volume` is what pods may mount."""

    def __init__(self) -> None:
        self.folder = Path(mkdtemp(prefix="intertie-kubernetes-"))
        self.folder.chmod(0o755)  # pods are no root, and mount what is below
        self.id = secrets.token_hex(3)
        self.bridge = f"itk{self.id}"
        self.node = socket.gethostname().split(".")[0].lower()
        self.ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self.volume = self.folder / "volume"
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.token = secrets.token_hex(16)
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "KubernetesCluster":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything; return when the node is ready and the agent's account is there."""
        self._lay_out()
        self.start_etcd()
        self.start_api_server()
        self._write_kubeconfig(self.kubeconfig, self.token)
        self.start_controllers()
        self.start_containerd()
        self.start_kubelet()
        self.apply(MANIFESTS / "agent.yaml")
        self.lend_room()
        self.until(self.is_node_ready, "the node to be ready")

    def stop(self) -> None:
        """End everything that was started here, and remove what it left."""
        with suppress(OSError, RuntimeError):
            for name in ("jobs", "pods"):
                self.kubectl("delete", name, "--all", "-n", "intertie", "--wait=false")
        for name in ("kubelet", "scheduler", "controllers", "api", "etcd"):
            self.end(name)
        self._end_containers()
        self.end("containerd")
        self._clean_up()

    # Daemons, one by one: a fault is to end one, and its end is to start it again.

    def start_etcd(self) -> None:
        url, peer = (f"http://127.0.0.1:{self.ports[name]}" for name in ("etcd", "peer"))
        self._spawn(
            "etcd",
            "etcd",
            f"--data-dir={self.folder}/etcd",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def start_api_server(self) -> None:
        certs = self.folder / "certs"
        self._spawn(
            "api",
            str(programs() / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{self.ports['etcd']}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.ports['api']}",
            f"--cert-dir={certs}",
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={certs}/sa.key",
            f"--service-account-key-file={certs}/sa.pub",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            f"--token-auth-file={certs}/tokens.csv",
            "--disable-admission-plugins=ServiceAccount",
            "--default-not-ready-toleration-seconds=4",
            "--default-unreachable-toleration-seconds=4",
            "--kubelet-preferred-address-types=Hostname",
        )
        self.until(self.is_api_up, "the API server to be ready")

    def start_controllers(self) -> None:
        common = (f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", "--port=0")
        common += ("--bind-address=127.0.0.1", "--kube-api-qps=500", "--kube-api-burst=1000")
        self._spawn(
            "controllers",
            str(programs() / "kube-controller-manager"),
            *common,
            f"--secure-port={self.ports['controllers']}",
            f"--cert-dir={self.folder}/certs/controllers",
            f"--service-account-private-key-file={self.folder}/certs/sa.key",
            "--node-monitor-grace-period=20s",
            "--node-monitor-period=1s",
            "--node-eviction-rate=10",
        )
        self._spawn(
            "scheduler",
            str(programs() / "kube-scheduler"),
            *common,
            f"--secure-port={self.ports['scheduler']}",
            f"--cert-dir={self.folder}/certs/scheduler",
        )

    def start_containerd(self) -> None:
        self._spawn("containerd", "containerd", f"--config={self.folder}/containerd.toml")
        self.until(lambda: self._ctr("version"), "containerd to answer")
        for name, command in ((IMAGE, ["/bin/sh"]), (PAUSE, _PAUSE)):
            archive = self.folder / "image.tar"
            write_image(archive, name, command)
            self.until(
                lambda path=archive: self._ctr("images", "import", str(path)),  # type: ignore[misc]
                f"{name} to be imported",
            )

    def start_kubelet(self) -> None:
        self._spawn(
            "kubelet",
            str(programs() / "kubelet"),
            f"--kubeconfig={self.kubeconfig}",
            "--container-runtime=remote",
            f"--container-runtime-endpoint=unix://{self.folder}/containerd.sock",
            f"--root-dir={self.folder}/kubelet",
            f"--cert-dir={self.folder}/certs/kubelet",
            f"--hostname-override={self.node}",
            f"--node-labels=gpu=a100,bench={self.id}",
            "--cgroup-driver=cgroupfs",
            f"--cgroup-root=/intertie-{self.id}",
            "--fail-swap-on=false",
            "--address=127.0.0.1",
            f"--port={self.ports['kubelet']}",
            "--read-only-port=0",
            f"--healthz-port={self.ports['health']}",
            "--healthz-bind-address=127.0.0.1",
            "--authorization-mode=AlwaysAllow",
            "--anonymous-auth=true",
            "--make-iptables-util-chains=false",
            "--eviction-hard=",
            "--resolv-conf=",
            f"--volume-plugin-dir={self.folder}/kubelet/plugins",
            "--node-status-update-frequency=2s",
            "--sync-frequency=5s",
            "--max-pods=200",
            "--kube-api-qps=100",
            "--kube-api-burst=200",
            "--registry-qps=0",
            "--event-qps=0",
        )

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one daemon, with everything in its session."""
        daemon = self.daemons.pop(name, None)
        if daemon is None:
            return
        daemon.send_signal(number)
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait(10)

    # What a site does.

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """Return what kubectl prints as the site's administrator; RuntimeError if it fails."""
        argv = ["kubectl", f"--kubeconfig={self.kubeconfig}", "--request-timeout=20s", *words]
        told = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
        if told.returncode != 0:
            raise RuntimeError(told.stderr)
        return told.stdout

    def get(self, *words: str) -> Any:
        """Return an object, or a list of them, as it stands."""
        return json.loads(self.kubectl("get", *words, "-n", "intertie", "-o", "json"))

    def apply(self, manifest: Path | str | dict[str, Any]) -> None:
        """Create or change what a manifest says."""
        text = manifest.read_text() if isinstance(manifest, Path) else json.dumps(manifest)
        self.kubectl("apply", "-f", "-", stdin=text)

    def lend_room(self) -> None:
        """Let the agent see the pods of every namespace, as the optional manifest does."""
        self.apply(MANIFESTS / "room.yaml")

    def lend_gpus(self, count: int) -> None:
        """Give the node devices that nothing but the scheduler's arithmetic knows."""
        sizes = {"nvidia.com/gpu": str(count)}
        self._patch_status(self.node, {"capacity": sizes, "allocatable": sizes})

    def beat_idle_nodes(self) -> None:
        """Let two cordoned nodes that run nothing say that they are well.

        A site whose only node falls silent gives nothing up: it may be the site that is deaf.
        """
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        told = {"type": "Ready", "status": "True", "reason": "Idle", "lastHeartbeatTime": now}
        for name in IDLE_NODES:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
            self.apply(node | {"spec": {"unschedulable": True}})
            self._patch_status(name, {"conditions": [told | {"lastTransitionTime": now}]})

    def remove_idle_nodes(self) -> None:
        self.kubectl("delete", "nodes", *IDLE_NODES, "--ignore-not-found")

    def _patch_status(self, node: str, status: dict[str, Any]) -> None:
        """Change what kubectl of these years cannot: a node's status."""
        url = f"https://127.0.0.1:{self.ports['api']}/api/v1/nodes/{node}/status"
        argv = ["curl", "-fsSk", "-X", "PATCH", "-H", f"Authorization: Bearer {self.token}"]
        argv += ["-H", "Content-Type: application/merge-patch+json"]
        argv += ["-d", json.dumps({"status": status}), url]
        subprocess.run(argv, check=True, capture_output=True)

    def agent_kubeconfig(self) -> Path:
        """Return a file with nothing but the token of the agent's own account."""
        path = self.folder / "agent.kubeconfig"
        if not path.exists():
            where = "/api/v1/namespaces/intertie/serviceaccounts/intertie-agent/token"
            asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
            told = self.kubectl("create", "--raw", where, "-f", "-", stdin=json.dumps(asked))
            self._write_kubeconfig(path, json.loads(told)["status"]["token"])
        return path

    def evict(self, pod: str) -> None:
        """Ask for a pod's eviction, as a drain does."""
        where = f"/api/v1/namespaces/intertie/pods/{pod}/eviction"
        meta = {"name": pod, "namespace": "intertie"}
        asked = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": meta}
        self.kubectl("create", "--raw", where, "-f", "-", stdin=json.dumps(asked))

    def is_node_ready(self) -> bool:
        with suppress(RuntimeError):
            node = self.get("node", self.node)
            return any(
                each["type"] == "Ready" and each["status"] == "True"
                for each in node["status"].get("conditions", [])
            )
        return False

    def is_api_up(self) -> bool:
        url = f"https://127.0.0.1:{self.ports['api']}/readyz"
        argv = ["curl", "-fsSk", "-m", "2", url]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def until(self, holds: Callable[[], T], what: str) -> T:
        """Return what holds, when it does."""
        deadline = time.monotonic() + DEADLINE_S
        while not (found := holds()):
            dead = [name for name, each in self.daemons.items() if each.poll() is not None]
            assert not dead, f"{dead} ended: {self._last_words(dead[0])}"
            assert time.monotonic() < deadline, f"never came: {what}"
            time.sleep(0.1)
        return found

    # How it is laid out, and removed.

    def _lay_out(self) -> None:
        for name in ("certs", "cni", "log", "volume", "kubelet"):
            (self.folder / name).mkdir(mode=0o755)
        certs = self.folder / "certs"
        key, public = str(certs / "sa.key"), str(certs / "sa.pub")
        for argv in (
            ["genrsa", "-out", key, "2048"],
            ["rsa", "-in", key, "-pubout", "-out", public],
        ):
            subprocess.run(["openssl", *argv], check=True, capture_output=True)
        (certs / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")
        (self.folder / "containerd.toml").write_text(
            CONTAINERD.format(folder=self.folder, pause=PAUSE, plugins=PLUGINS)
        )
        subnet = f"10.{100 + int(self.id[:2], 16) % 100}.{int(self.id[2:4], 16)}.0/24"
        network = {"type": "host-local", "ranges": [[{"subnet": subnet}]]}
        network["dataDir"] = str(self.folder / "addresses")
        plugin = {"type": "bridge", "bridge": self.bridge, "ipam": network}
        (self.folder / "cni" / "10-jobs.conflist").write_text(
            json.dumps({"cniVersion": "0.4.0", "name": self.bridge, "plugins": [plugin]})
        )
        for each in _hierarchies():
            (each / f"intertie-{self.id}").mkdir(exist_ok=True)
        self._copy_cpuset()

    def _copy_cpuset(self) -> None:
        """A new group of cgroup v1 has no cores until it is told which."""
        group = CGROUPS / "cpuset" / f"intertie-{self.id}"
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (group / name).exists():
                (group / name).write_text((group.parent / name).read_text())

    def _write_kubeconfig(self, path: Path, token: str) -> None:
        cluster = {
            "server": f"https://127.0.0.1:{self.ports['api']}",
            "certificate-authority": str(self.folder / "certs" / "apiserver.crt"),
            "tls-server-name": "kubernetes",
        }
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
        path.write_text(yaml.safe_dump(told))
        path.chmod(0o600)

    def _spawn(self, name: str, *argv: str) -> None:
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )

    def _last_words(self, name: str) -> str:
        return (self.folder / "log" / f"{name}.log").read_text(errors="replace")[-2000:]

    def _ctr(self, *words: str) -> bool:
        argv = ["ctr", f"--address={self.folder}/containerd.sock", "-n", "k8s.io", *words]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    def _end_containers(self) -> None:
        """End the shims of our own containerd, each with its container."""
        sock = f"{self.folder}/containerd.sock".encode()
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = path.read_bytes().split(b"\0")
                if b"containerd-shim" in words[0] and sock in words:
                    for child in _children(int(path.parent.name)):
                        os.kill(child, signal.SIGKILL)
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def _clean_up(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], check=False, capture_output=True)
        for each in _hierarchies():
            for group, _, _ in os.walk(each / f"intertie-{self.id}", topdown=False):
                with suppress(OSError):
                    Path(group).rmdir()
        shutil.rmtree(self.folder, ignore_errors=True)


_PAUSE = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


def _hierarchies() -> list[Path]:
    """Return the roots of the control groups: one of v2, or each controller of v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        told = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in told.split()]
    return []


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="session")
def kubernetes_cluster() -> Iterator[KubernetesCluster]:
    """A cluster of this process's own; skips with one line where it cannot be had."""
    if lacking := missing():
        pytest.skip(lacking)
    with KubernetesCluster() as cluster:
        yield cluster
