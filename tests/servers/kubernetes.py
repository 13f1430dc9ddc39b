"""A real Kubernetes cluster on loopback: control plane, containerd and one kubelet, nothing shared.

    with KubernetesCluster() as cluster: ...

Wants the programs that scripts/kubernetes/build.sh builds, Debian's etcd-server, containerd, runc,
containernetworking-plugins and busybox, and root.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import yaml

from tests.servers.container_images import write_image
from tests.servers.daemons import Server, free_ports

BUILT = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet")
INSTALLED = ("etcd", "containerd", "ctr", "runc", "busybox", "openssl")
PLUGINS = Path("/usr/lib/cni")
MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
IMAGE, PAUSE = "localhost/busybox:1", "localhost/pause:1"
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
  netns_mounts_under_state_dir = true
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


class KubernetesCluster(Server):
    """A control plane and one real node, which is this machine. `volume` is what pods may mount."""

    deadline_s = 90.0

    def __init__(self) -> None:
        super().__init__(Path(mkdtemp(prefix="intertie-kubernetes-")))
        self.folder.chmod(0o755)  # pods are no root, and mount what is below
        self.id = secrets.token_hex(3)
        self.bridge = f"itk{self.id}"
        self.node = socket.gethostname().split(".")[0].lower()
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.volume = self.folder / "volume"
        self.kubeconfig = self.folder / "admin.kubeconfig"
        self.token = secrets.token_hex(16)

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

    # How it is laid out, and removed.

    def _lay_out(self) -> None:
        for name in ("certs", "cni", "volume", "kubelet"):
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
        self.undo("ip", "link", "del", self.bridge)
        for each in _hierarchies():
            group = each / f"intertie-{self.id}"
            group.mkdir(exist_ok=True)
            self.undo("find", str(group), "-depth", "-type", "d", "-exec", "rmdir", "{}", ";")
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
        self.begin(name, list(argv))

    def _ctr(self, *words: str) -> bool:
        argv = ["ctr", f"--address={self.folder}/containerd.sock", "-n", "k8s.io", *words]
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0


_PAUSE = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"]


def _hierarchies() -> list[Path]:
    """Return the roots of the control groups: one of v2, or each controller of v1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


@pytest.fixture(scope="session")
def kubernetes_cluster() -> Iterator[KubernetesCluster]:
    """A cluster of this process's own; skips with one line where it cannot be had."""
    if lacking := missing():
        pytest.skip(lacking)
    with KubernetesCluster() as cluster:
        yield cluster
