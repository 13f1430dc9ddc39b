"""The documents that the engine sends, and the table that it reads."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from intertie.engines.kubernetes.render import BOX, image, job, job_name
from intertie.engines.kubernetes.settings import KubernetesSettings, read
from intertie.engines.registry import EngineSettings
from tests.engines.hosting import a_body

DIGEST = "registry.local/own/torch@sha256:" + "0" * 64
TABLE = {
    "image": "registry.local/base:1",
    "images": {"torch": DIGEST},
    "volume": {"persistentVolumeClaim": "attempts"},
    "prefix": "intertie",
    "devices": {"a100": {"resource": "nvidia.com/gpu", "selector": {"gpu": "a100"}}},
    "selector": {"pool": "lent"},
    "priority_class": "guests",
    "user": 1234,
}


def own(**known: Any) -> KubernetesSettings:
    return read(EngineSettings(Path("/pool"), grace_s=7, table=TABLE | known))


def pod(body: Any, **known: Any) -> dict[str, Any]:
    document = job(own(**known), "0a1b2c3d", "lease-1", 4, body)
    spec: dict[str, Any] = document["spec"]["template"]["spec"]
    return spec


def test_a_job_is_named_by_lease_and_token_and_runs_one_pod_once() -> None:
    document = job(own(), "0a1b2c3d", "lease-1", 4, a_body("true"))
    assert document["metadata"]["name"] == "intertie-0a1b2c3d-lease-1-4"
    spec = document["spec"]
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    for meta in (document["metadata"], spec["template"]["metadata"]):
        assert meta["annotations"]["intertie/lease"] == "lease-1"
        assert meta["annotations"]["intertie/token"] == "4"
        assert meta["labels"]["intertie/agent"] == "0a1b2c3d"


@pytest.mark.parametrize("lease", ["Lease_1", "l" * 80, "a.b"])
def test_a_lease_that_is_no_name_in_kubernetes_gets_one_of_its_own(lease: str) -> None:
    names = {job_name("0a1b2c3d", lease, token) for token in range(3)}
    assert len(names) == 3
    assert all(len(name) <= 57 and name == name.lower() for name in names)


def test_a_pod_has_few_rights_and_asks_for_what_the_lease_says() -> None:
    body = a_body("true", cpus_milli=1500, device_class="a100", device_count=2, time_limit_s=100)
    spec = pod(body)
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1234,
        "runAsGroup": 1234,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert spec["automountServiceAccountToken"] is False
    container = spec["containers"][0]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    sizes = {"cpu": "1500m", "memory": str(256 << 20), "nvidia.com/gpu": "2"}
    assert container["resources"] == {"requests": sizes, "limits": sizes}
    assert spec["nodeSelector"] == {"pool": "lent", "gpu": "a100"}
    assert spec["priorityClassName"] == "guests"
    assert spec["terminationGracePeriodSeconds"] == 7
    assert spec["activeDeadlineSeconds"] > 107


def test_a_longer_checkpoint_grace_is_given() -> None:
    assert pod(a_body("true", checkpoint_grace_s=90))["terminationGracePeriodSeconds"] == 90


def test_a_pod_sees_its_own_folder_only_and_may_write_its_work_its_log_and_its_end() -> None:
    spec = pod(a_body("true"))
    assert spec["volumes"] == [
        {"name": "attempts", "persistentVolumeClaim": {"claimName": "attempts"}}
    ]
    mounts = spec["containers"][0]["volumeMounts"]
    assert all(each["subPath"].startswith("intertie/lease-1-4/") for each in mounts)
    written = {each["mountPath"] for each in mounts if not each["readOnly"]}
    assert written == {"/work", "/intertie/log", "/intertie/end"}
    gang = pod(a_body("true", gang={"id": "job-1-7", "size": 2}))["containers"][0]
    assert gang["args"][3] == "gang"
    barrier = gang["volumeMounts"][-1]
    assert (barrier["subPath"], barrier["readOnly"]) == ("intertie/gangs/job-1-7", True)
    moving = pod(a_body("true", on_partition="move"))["containers"][0]["volumeMounts"]
    assert [each["subPath"] for each in moving if each["readOnly"]][-1] == "intertie/session"


def test_no_word_of_a_job_is_read_by_kubernetes_or_by_a_shell() -> None:
    body = a_body("echo", "$(INTERTIE_POD)", "$$", "`id`", environment={"ODD": "$(INTERTIE_POD)"})
    container = pod(body)["containers"][0]
    assert container["args"][3:] == ["alone", "echo", "$$(INTERTIE_POD)", "$$$$", "`id`"]
    assert container["command"][2].replace("$$", "$") == BOX
    assert "ODD" not in json.dumps(container)


def test_an_image_is_the_jobs_own_its_stacks_or_the_owners() -> None:
    assert image(own(), a_body("true", image=DIGEST)) == DIGEST
    assert image(own(), a_body("true", software="torch >=2")) == DIGEST
    assert image(own(), a_body("true", software="python")) == "registry.local/base:1"


def test_a_device_class_that_is_not_lent_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'h100'.*a100"):
        pod(a_body("true", device_class="h100", device_count=1))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"image": ""}, "image: missing"),
        ({"image": 3}, "image: 3 is not a text"),
        ({"volume": {}}, "volume: say where"),
        ({"volume": {"nfs": "x"}}, "volume: say where"),
        ({"volume": {"hostPath": "shared"}}, "volume.hostPath: 'shared' is not an absolute path"),
        ({"volume": {"persistentVolumeClaim": "A b"}}, "volume.persistentVolumeClaim"),
        ({"prefix": "a/../b"}, "prefix: must stay inside"),
        ({"namespace": "No Name"}, "namespace: 'No Name'"),
        ({"devices": {"a100": {"resource": "no such"}}}, "devices.a100.resource"),
        ({"devices": {"a100": {"resource": "x/y", "count": 1}}}, "devices.a100: must be"),
        ({"selector": {"gpu": "a b"}}, "selector.gpu"),
        ({"user": 0}, "user: 0"),
        ({"has_network_policy": "yes"}, "has_network_policy: 'yes'"),
        ({"tolerations": {}}, "tolerations: must be a list"),
        ({"colour": "red"}, "colour: no such setting"),
    ],
)
def test_a_wrong_table_is_told_by_key(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"^{words.replace('.', r'[.]')}"):
        own(**wrong)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_the_box_is_posix_shell(shell: str) -> None:
    argv = [shell, *(["sh"] if shell == "busybox" else []), "-n", "-c", BOX]
    try:
        told = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"no {shell} here")
    assert (told.returncode, told.stderr) == (0, "")
