"""The access standard.

What an agent and the network say to each other (docs/river.md, step run).
"""

from typing import Annotated, Literal

from pydantic import Field

from intertie.wire.base import Answer, Message

# What JSON carries exactly, and room enough in int64 to add and multiply.
Whole = Annotated[int, Field(ge=0, le=2**53)]
LeaseStateWord = Literal["pending", "running", "finishing", "ended"]
CauseWord = Literal[
    "none",
    "exited",
    "signalled",
    "timed_out",
    "out_of_memory",
    "out_of_disk",
    "start_failed",
    "declined",
    "cancelled",
    "reclaimed",
    "expired",
    "lost",
    "no_funds",
    "superseded",
]


class NodeBody(Message):
    """One node of a pool, or a group of `machine_count` like machines with these sums of sizes."""

    name: str
    cpus_milli: Annotated[int, Field(gt=0)]
    memory_bytes: Annotated[int, Field(gt=0)]
    disk_bytes: Annotated[int, Field(ge=0)]
    device_class: str = ""
    device_count: Annotated[int, Field(ge=0)] = 0
    machine_count: Annotated[int, Field(gt=0)] = 1


class StackBody(Message):
    """Software that the pool offers."""

    name: str
    version: str


class ScoreBody(Message):
    """Speed of one unit under a profile, in millionths of its reference.

    Runs in the backend's unit.
    """

    profile: str
    millionths: Annotated[int, Field(gt=0, le=10**9)]
    source: Literal["measured", "declared"]
    backend: str = ""
    runs: list[int] = []


class TermsBody(Message):
    """The owner's terms; the unit is one device, or one core where there are no devices."""

    price_micro_per_unit_h: Annotated[int, Field(ge=0, le=10**12)]
    grace_s: Annotated[int, Field(ge=0, le=3600)]
    lent_cpus_milli: Annotated[int, Field(ge=0)]
    lent_memory_bytes: Annotated[int, Field(ge=0)]
    own_project: Annotated[str, Field(description="its jobs come before guests")] = ""
    projects: Annotated[list[str], Field(description="who may come; empty: everyone")] = []
    not_projects: Annotated[list[str], Field(description="who may not")] = []
    lent_device_count: Annotated[
        int | None, Field(ge=0, description="the most devices ever lent; none: all")
    ] = None


class PoolBody(Message):
    """All that an agent says of its pool when a session begins."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    engine: str
    region: str
    country: str
    latency_ms: Annotated[int, Field(ge=0)]
    latency_source: Literal["declared", "measured"]
    nodes: Annotated[list[NodeBody], Field(min_length=1)]
    terms: TermsBody
    scores: list[ScoreBody] = []
    software: list[StackBody] = []
    abilities: list[str] = []
    not_enforced: list[str] = []
    datasets: list[str] = []
    agent_version: str = ""


class Enrol(Message):
    """Spend a one-time token: the key speaks for this pool of the token's provider from now on."""

    token: str
    pool: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w][\w.-]*$")]
    public_key: Annotated[str, Field(description="Ed25519, raw 32 bytes, base64")]


class Enrolled(Answer):
    """The agent's id, with which it opens sessions."""

    agent: str
    network: str
    incarnation: int


class Leave(Message):
    """Strike the agent's own key off. Nothing to say: the signature says who."""


class Left(Answer):
    """The agent has left: its key opens nothing any more."""

    agent: str


class OpenSession(Message):
    """Begin to speak for the pool. Whoever spoke before is fenced out from then on."""

    protocol_min: int = 1
    protocol_max: int = 1
    pool: PoolBody


class SessionOpened(Answer):
    """The session's epoch, which goes into every sync."""

    agent: str
    epoch: int
    incarnation: int
    protocol: int
    renew_for_s: int


class FileBody(Message):
    """One file that an attempt left; the blob is uploaded before it is named here."""

    path: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size_bytes: Annotated[int, Field(ge=0)]
    kind: Literal["result", "checkpoint"] = "result"


class LeaseObservation(Message):
    """What the agent sees of one lease. Meters are cumulative for the attempt.

    `finishing`: the processes are gone and files are on their way; `ended`: all files are up.
    """

    lease: str
    token: Whole
    state: LeaseStateWord
    cause: CauseWord = "none"
    exit_code: Annotated[int, Field(ge=-(2**31), lt=2**32)] | None = None
    signal: Annotated[int, Field(ge=0, le=255)] | None = None
    started_at: Whole = 0
    ran_ms: Whole = 0
    cpu_ms: Whole = 0
    memory_peak_bytes: Whole = 0
    files: list[FileBody] = []
    detail: Annotated[str, Field(max_length=2000)] = ""
    site_ms: Annotated[Whole, Field(description="by the site's own accounting; 0: none")] = 0
    expected_start_at: Annotated[Whole, Field(description="by the site's own queue")] = 0
    node: Annotated[str, Field(max_length=200, description="where the site put it")] = ""
    image: Annotated[str, Field(max_length=200, description="digest of its image")] = ""


class Decline(Message):
    """A lease that the agent will not start, and why (a refusal code)."""

    lease: str
    token: Whole
    reason: str


class OwnerState(Message):
    """What the owner lends at this instant; less than the terms while the owner reclaims."""

    lent_cpus_milli: Whole
    lent_memory_bytes: Whole
    lent_device_count: Whole | None = None
    is_draining: bool = False
    waits_s: Annotated[
        dict[str, Whole], Field(description="until a task would start, by node")
    ] = {}


class Sync(Message):
    """One exchange, safe to repeat and safe to lose. Signed as a whole with the agent's key.

    `leases` are deltas since the last answered sync, or all that the agent has when `is_full`.
    `digest` is that of every lease that the agent sees as pending or running.

    Protocol 2: `heard_round` is the `round` of the last answer that was taken in, under
    `incarnation`; 0 asks for everything and goes with `is_full`. `lacks` names wanted leases
    whose bodies the agent has not. The answer waits up to `wait_ms` for something new.

    Protocol 1: `known` are the leases whose bodies the agent has, every time, and each answer
    says all that is wanted. The answer waits for a change of `wanted_digest`.
    """

    protocol: int = 1
    epoch: Whole
    sequence: Annotated[int, Field(ge=1, le=2**53)]
    is_full: bool = False
    digest: Annotated[str, Field(max_length=64)]
    leases: list[LeaseObservation] = []
    declines: list[Decline] = []
    known: list[str] = []
    lacks: list[str] = []
    owner: OwnerState
    wanted_digest: Annotated[
        str, Field(max_length=64, description="that of the last answer, said back")
    ] = ""
    heard_round: Whole = 0
    incarnation: Whole = 0
    wait_ms: Annotated[int, Field(ge=0, le=60_000)] = 0


class ResumeFile(Answer):
    """A checkpoint file of an earlier attempt, to be laid into the working folder."""

    path: str
    sha256: str
    size_bytes: int


class GangBody(Answer):
    """The gang that an attempt begins with: whole, or not at all.

    `id` is the same for all that were placed together and for nobody else: tasks that are placed
    again have another. `size` attempts of that id go to this pool, one body each. It never
    changes: where one of them will not come, the network stops the others.
    """

    id: Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")]
    size: Annotated[int, Field(ge=1)]


class LeaseBody(Answer):
    """Everything an engine needs to run one attempt. Sent once."""

    job: str
    task_index: int
    attempt: int
    project: str
    name: str
    command: list[str]
    script: str
    workdir: str
    environment: dict[str, str]
    kind: str = "batch"
    software: str = ""
    image: Annotated[str, Field(description="by digest; empty: none")] = ""
    node: Annotated[str, Field(description="the node or group that it was placed on")] = ""
    cpus_milli: int
    memory_bytes: int
    disk_bytes: int
    device_class: str = ""
    device_count: int = 0
    time_limit_s: int
    network: bool
    requires: list[str]
    results: list[str]
    checkpoint_path: str = ""
    checkpoint_grace_s: int = 0
    on_partition: Literal["keep", "move"] = "keep"
    resume: list[ResumeFile] = []
    gang: GangBody | None = None
    attempt_token: str = Field(description="for this attempt's logs and blobs only")


class WantedLease(Answer):
    """A lease that should run. `body` is null once the agent has spoken of the lease."""

    lease: str
    token: int
    until: int
    body: LeaseBody | None = None


class ExplicitStop(Answer):
    """A lease that must stop: SIGTERM now, SIGKILL after the grace."""

    lease: str
    token: int
    cause: CauseWord
    grace_s: int


class CallBody(Answer):
    """Somebody waits to speak with the program of a session: dial, and relay until either ends.

    The agent opens the WebSocket `/v1/agents/{id}/calls/{nonce}`, signed like its other requests
    (`GET`, the path, no body), at `url`, or where it knows the network if that is empty. It then
    carries bytes between it and the socket `.intertie/session` below the attempt's working folder.
    """

    nonce: str
    lease: str
    token: int
    url: str = ""


class SyncAnswer(Answer):
    """What the network wants. A lease that is not mentioned runs on.

    `forget` lists ended leases that the network has booked: the agent may clean them up.

    Protocol 2: all that changed after the agent's `heard_round` up to `round`, or all that is
    wanted when `is_full`. The agent keeps its wanted set by it: `leases` and `stops` are put in,
    then `gone` (stopped, because the network has given them up) and `forget` are taken out.
    `wanted_digest` is that of the whole set as of `round`; where the agent's own is another one,
    it asks for everything. An answer whose `round` is not above what was heard brings nothing.

    `now` is the network's clock, by which leases end; 0 from a network that does not say it.
    """

    incarnation: int
    epoch: int
    sequence: int
    now: int = 0
    round: int = 0
    is_full: bool = False
    wanted_digest: str
    wants_full: bool = False
    leases: list[WantedLease] = []
    stops: list[ExplicitStop] = []
    gone: list[str] = []
    forget: list[str] = []
    drain: bool = False
    calls: list[CallBody] = Field(default=[], description="each stands until it is answered")
    renew_for_s: int
    next_poll_ms: int
