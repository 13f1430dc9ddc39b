"""Futures of calls that run on the network."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from intertie.client.errors import IntertieError, problem_of
from intertie.wire.jobs import AttemptView, TaskView

if TYPE_CHECKING:
    from intertie.client.network import Intertie

T = TypeVar("T")
_LOG_TAIL_BYTES = 4_000


class CallFailed(IntertieError):
    """The task ended before its call returned or raised: killed, out of time, out of memory.

    `outcome` and `cause` are the network's words; `log` is the end of what the task printed.
    """

    def __init__(self, name: str, task: "RemoteTask", view: TaskView) -> None:
        last = view.attempts[-1] if view.attempts else None
        self.task = task
        self.outcome = view.outcome
        self.cause = last.cause if last else "none"
        self.exit_code = last.exit_code if last else None
        self.signal = last.signal if last else None
        self.log = task.log_tail()
        printed = f"\n{self.log}" if self.log else ""
        detail = f"task {task.index} of {task.job} {self.outcome}: {_reason(last)}{printed}"
        super().__init__(problem_of("call_failed", f"{name} did not return", detail))


@dataclass(frozen=True)
class RemoteTask:
    """The task in which a call runs: its job, its index in the job, its log."""

    network: "Intertie"
    job: str
    index: int

    def view(self) -> TaskView:
        """Return the task with every attempt at it, as the network has it now."""
        return self.network.task(self.job, self.index)

    def log(self) -> str:
        """Return what the call has printed so far, over all attempts."""
        return "".join(self.network.logs(self.job, self.index))

    def follow(self) -> Iterator[str]:
        """Return what the call prints, piece by piece, until it has ended."""
        return self.network.logs(self.job, self.index, follow=True)

    def log_tail(self) -> str:
        """Return the end of what the call printed."""
        size = self.network.log_size(self.job, self.index)
        tail = self.network.logs(self.job, self.index, offset=max(0, size - _LOG_TAIL_BYTES))
        return "".join(tail).strip()


class NetworkFuture(Future[T]):
    """What becomes of one call. `task` is where it runs, None until it was sent.

    Unlike a thread's, a call that runs can be cancelled. The network stops a job once nobody
    waits for any of its calls.
    """

    def __init__(self, name: str, on_cancel: Callable[["NetworkFuture[Any]"], bool]) -> None:
        super().__init__()
        self.name = name
        self.task: RemoteTask | None = None
        self.is_running = False
        self._on_cancel = on_cancel
        self._dropping = RLock()

    def running(self) -> bool:
        return self.is_running and not self.done()

    def cancel(self) -> bool:
        """Cancel the call; False if it has ended. Whoever waits for it is let go at once."""
        return self._on_cancel(self)

    def drop(self) -> bool:
        """Become cancelled and say so to whoever waits; False if it is done already."""
        with self._dropping:
            if self.cancelled():
                return True
            return super().cancel() and not self.set_running_or_notify_cancel()


def _reason(last: AttemptView | None) -> str:
    if last is None:
        return "it never ran"
    how = last.cause.replace("_", " ")
    if last.cause == "exited":
        return f"its process exited with code {last.exit_code}"
    if last.cause == "signalled":
        return f"its process was ended by signal {last.signal}"
    return how
