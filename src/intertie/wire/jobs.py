"""Jobs as the network shows them: state, tasks, reasons, files, events and the receipt."""

from typing import Annotated, Any

from pydantic import Field

from intertie.wire.base import Answer, Instant, Message, Micro, PoolReason, RefusalBody
from intertie.wire.jobspec import JobSpec
from intertie.wire.queue import SoonerView, StartView


class SubmitJob(Message):
    """Ask the network to take on a job.

    With `quote`, at the prices of that quote while it is firm.
    """

    spec: JobSpec
    quote: str | None = None
    option: Annotated[
        str | None, Field(description="option code of the quote; default: chosen")
    ] = None


class JobView(Answer):
    """One job: where it is on the river, what it has cost and what is set aside for it."""

    id: str
    name: str
    project: str
    kind: str
    state: str
    outcome: str
    submitted_at: Instant
    ended_at: Instant | None = None
    quote: str | None = None
    task_count: int
    tasks_by_state: dict[str, int] = {}
    running_by_provider: dict[str, int] = {}
    spent_micro: Micro = 0
    held_micro: Micro = 0
    budget_micro: Micro | None = None
    spec: dict[str, Any] = {}


class AttemptView(Answer):
    """One try at one task: the lease, where it ran, how it ended.

    `expected_start_at` is the site's own word while the attempt waits in the site's queue.
    """

    lease: str
    token: int
    provider: str
    pool: str
    node: str
    state: str
    cause: str
    exit_code: int | None = None
    signal: int | None = None
    placed_at: Instant
    expected_start_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None
    agent_s: float = 0
    network_s: float = 0
    site_s: float | None = Field(default=None, description="by the site's own accounting")
    site_node: str = Field(default="", description="the machine that the site chose")
    image: str = Field(default="", description="digest of the image that it ran in")
    amount_micro: Micro = 0


class TaskView(Answer):
    """One task of a job, with every attempt at it."""

    index: int
    state: str
    outcome: str
    resumes: int
    values: dict[str, str] = {}
    attempts: list[AttemptView] = []


class PoolRefusal(Answer):
    """Why one pool does not run the job now."""

    pool: str
    provider: str
    refusal: RefusalBody


class WhyView(Answer):
    """Why a job waits, failed or was refused.

    Each pool's reason, and the smallest change that helps; for a job that waits its expected start,
    and the smallest change that would start it sooner.
    """

    job: str
    state: str
    queue_position: int | None = None
    summary: str
    pools: list[PoolRefusal] = []
    nearest: RefusalBody | None = None
    start: StartView | None = Field(default=None, description="when it is expected to start")
    sooner: SoonerView | None = None


class RefusedView(Answer):
    """A request that the network refused, and why. Nothing came of it."""

    at: Instant
    kind: str
    name: str
    refusal: RefusalBody
    pools: list[PoolReason] = []


class FileView(Answer):
    """One file that an attempt left: a result or a checkpoint."""

    task: int
    path: str
    size_bytes: int
    sha256: str
    kind: str


class JobEvent(Answer):
    """One step of a job, in order. `number` continues an event stream (Last-Event-ID)."""

    number: int
    at: Instant
    job: str
    code: str
    text: str = ""
    values: dict[str, Any] = {}


class ReceiptLine(Answer):
    """What one attempt used and cost, from all meters, asked against used.

    The lowest meter is paid. Only a site's own accounting is independent of network and agent.
    """

    task: int
    lease: str
    provider: str
    pool: str
    outcome: str
    cause: str
    agent_s: float
    network_s: float
    site_s: float | None = None
    has_independent_meter: bool = False
    site_node: str = ""
    image: str = ""
    paid_s: float
    difference_percent: float
    is_disputed: bool
    cpus_asked: float
    cpu_s_used: float
    memory_asked_bytes: int
    memory_peak_bytes: int
    price_micro_per_unit_h: Micro
    units: float
    service_units: float
    amount_micro: Micro
    fee_micro: Micro


class Receipt(Answer):
    """Everything one job used and cost, and where the money went."""

    job: str
    name: str
    project: str
    state: str
    outcome: str
    lines: list[ReceiptLine]
    by_provider: list["ReceiptProvider"]
    paid_micro: Micro
    fee_micro: Micro
    held_micro: Micro
    released_micro: Micro
    quoted_micro: Micro | None = None
    device_h: float
    service_units: float
    profile: str
    tasks_total: int
    tasks_resumed: int
    meters_difference_percent_max: float
    sum_micro: Micro = Field(description="of all postings of the job; always 0")


class ReceiptProvider(Answer):
    """One provider's part of a job. `paid_micro` is what it earned after the fee."""

    provider: str
    tasks: int
    attempts: int
    agent_s: float
    network_s: float
    service_units: float
    charged_micro: Micro
    fee_micro: Micro
    paid_micro: Micro
