"""Whether a pool could ever run a request: a flat list of guards, one reason each."""

from intertie.model.parties import NodeFacts, PoolFacts
from intertie.model.refusal import Refusal, Relaxation
from intertie.model.request import Request
from intertie.model.versions import satisfies


def refuse(request: Request, facts: PoolFacts, provider: str, project: str) -> Refusal | None:
    """Return why this pool cannot run the request, with the smallest change that helps; or None."""
    return (
        _place(request, facts, provider, project)
        or _software(request, facts)
        or _abilities(request, facts)
        or _enforcement(request, facts)
        or _size(request, facts)
    )


def holds(request: Request, node: NodeFacts) -> bool:
    """Return whether one task fits an empty machine of a node."""
    need, node = request.resources, node.machine()
    return (
        need.cpus_milli <= node.cpus_milli
        and need.memory_bytes <= node.memory_bytes
        and need.disk_bytes <= node.disk_bytes
        and need.device_count <= node.device_count
        and need.device_class in ("", node.device_class)
    )


def _place(request: Request, facts: PoolFacts, provider: str, project: str) -> Refusal | None:
    for data in request.data:
        if data.bound_to and provider not in data.bound_to:
            return Refusal(
                "data_bound_elsewhere",
                {"data": data.name, "bound_to": ", ".join(data.bound_to), "provider": provider},
                Relaxation("lift_data_bound", {"data": data.name, "provider": provider}),
            )
    if request.providers and provider not in request.providers:
        return Refusal(
            "provider_not_chosen",
            {"provider": provider, "chosen": ", ".join(request.providers)},
            Relaxation("allow_provider", {"provider": provider}),
        )
    if request.residency and not {facts.region, facts.country} & set(request.residency):
        return Refusal(
            "residency_elsewhere",
            {"region": facts.region, "allowed": ", ".join(request.residency)},
            Relaxation("allow_region", {"region": facts.region}),
        )
    if request.latency_ms_max and facts.latency_ms > request.latency_ms_max:
        return Refusal(
            "latency_too_high",
            {"latency_ms": facts.latency_ms, "max_ms": request.latency_ms_max},
            Relaxation("allow_latency", {"to_ms": facts.latency_ms}),
        )
    if not facts.terms.admit(project):
        return Refusal(
            "provider_does_not_admit",
            {"provider": provider, "project": project},
            Relaxation("ask_provider", {"provider": provider}),
        )
    if "list" not in request.price_kinds:
        return Refusal(
            "price_kind_not_offered",
            {"kinds": ", ".join(request.price_kinds)},
            Relaxation("price_kind_list"),
        )
    return None


def _software(request: Request, facts: PoolFacts) -> Refusal | None:
    asked = request.software
    if asked.lock:
        return Refusal(
            "needs_software",
            {"stack": "lock", "version": ""},
            Relaxation("other_software_stack", {"stack": "lock"}),
        )
    if not asked.stack:
        return None
    offered = {stack.name: stack.version for stack in facts.software}
    if asked.stack not in offered:
        return Refusal(
            "needs_software",
            {"stack": asked.stack, "version": asked.version},
            Relaxation("other_software_stack", {"stack": asked.stack}),
        )
    if satisfies(offered[asked.stack], asked.version):
        return None
    return Refusal(
        "needs_software",
        {"stack": asked.stack, "version": asked.version},
        Relaxation("other_software", {"stack": asked.stack, "version": offered[asked.stack]}),
    )


def _abilities(request: Request, facts: PoolFacts) -> Refusal | None:
    if request.software.image and "containers" not in facts.abilities:
        return Refusal(
            "no_containers",
            {"image": request.software.image},
            Relaxation("other_software_stack", {"stack": "image"}),
        )
    if request.kind == "session" and "sessions" not in facts.abilities:
        return Refusal(
            "no_sessions", {"pool": facts.name}, Relaxation("other_kind", {"kind": "batch"})
        )
    if request.is_gang and request.task_count > 1 and "gangs" not in facts.abilities:
        return Refusal("no_gangs", {"pool": facts.name}, Relaxation("not_as_gang"))
    return None


def _enforcement(request: Request, facts: PoolFacts) -> Refusal | None:
    missing = [ability for ability in request.requires if ability not in facts.abilities]
    if not missing:
        return None
    return Refusal(
        "not_enforced",
        {"ability": missing[0]},
        Relaxation("drop_requirement", {"ability": missing[0]}),
    )


def _size(request: Request, facts: PoolFacts) -> Refusal | None:
    if any(holds(request, node) for node in facts.nodes):
        return None
    need = request.resources
    classes = sorted({node.device_class for node in facts.nodes if node.device_class})
    if need.device_class and need.device_class not in classes:
        offered = ", ".join(classes) or "cpu"
        return Refusal(
            "unknown_device_class",
            {"needs": need.device_class, "offered": offered},
            Relaxation("other_device", {"offered": offered}),
        )
    machines = [node.machine() for node in facts.nodes]
    like = [each for each in machines if need.device_class in ("", each.device_class)]
    largest = max(like, key=lambda n: (n.device_count, n.cpus_milli))
    if need.device_count > largest.device_count:
        return Refusal(
            "not_enough_devices",
            {"needs": need.device_count, "has": largest.device_count},
            Relaxation("fewer_devices", {"to": largest.device_count}),
        )
    if need.cpus_milli > largest.cpus_milli:
        return Refusal(
            "not_enough_cpus",
            {"needs_milli": need.cpus_milli, "has_milli": largest.cpus_milli},
            Relaxation("fewer_cpus", {"to_milli": largest.cpus_milli}),
        )
    if need.memory_bytes > largest.memory_bytes:
        return Refusal(
            "not_enough_memory",
            {"needs_bytes": need.memory_bytes, "has_bytes": largest.memory_bytes},
            Relaxation("less_memory", {"to_bytes": largest.memory_bytes}),
        )
    return Refusal(
        "not_enough_disk",
        {"needs_bytes": need.disk_bytes, "has_bytes": largest.disk_bytes},
        Relaxation("less_disk", {"to_bytes": largest.disk_bytes}),
    )
