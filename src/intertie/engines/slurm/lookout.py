"""The lookout: looks at our jobs at the site in a thread of its own, so that nobody waits for it.

What the shims write is seen at once; what the site says of it is asked at the site's own pace.
"""

import threading
import time
from collections.abc import Callable

from intertie.engines.protocol import EngineUnavailable
from intertie.engines.slurm.parsing import Job
from intertie.engines.slurm.tracks import Look

STEP_S = 0.1
URGENT_S = 0.25  # the pace while an end waits for the site's own word


class Lookout:
    """`newest` is the last look; `begin` starts the thread that takes one whenever it is due."""

    def __init__(
        self,
        ask: Callable[[], list[Job]],
        poll_s: float,
        is_needed: Callable[[], bool],
        is_urgent: Callable[[], bool],
        tell: Callable[[], None],
    ) -> None:
        """`ask` returns our jobs, `tell` is called after each look."""
        self.broken: Exception | None = None
        self._ask, self._poll_s, self._tell = ask, poll_s, tell
        self._is_needed, self._is_urgent = is_needed, is_urgent
        self._look, self._away = Look(), ""
        self._looking, self._closing = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="slurm-lookout", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Take no further look; one that goes on changes nothing."""
        self._closing.set()

    def newest(self) -> Look:
        """Return the last look; EngineUnavailable if the site was away when it was due."""
        if self._away:
            raise EngineUnavailable(self._away)
        return self._look if self._look.taken_s else self.look(self._poll_s)

    def look(self, age_s: float) -> Look:
        """Return a look that is not older than this, taken now if there is none.

        EngineUnavailable if the site is away.
        """
        oldest_s = time.monotonic() - age_s
        if self._look.taken_s <= oldest_s:
            with self._looking:
                if self._look.taken_s <= oldest_s:
                    self._take()
        return self._look

    def _take(self) -> None:
        now_s = time.monotonic()
        try:
            self._look = Look.of(now_s, self._ask())
        except EngineUnavailable as error:
            self._away = str(error)
            raise
        self._away = ""

    def _run(self) -> None:
        while not self._closing.wait(STEP_S):
            if not self._is_needed():
                continue
            before_s = self._look.taken_s
            try:
                self.look(URGENT_S if self._is_urgent() else self._poll_s)
            except EngineUnavailable:
                self._tell()
                self._closing.wait(self._poll_s)
            except Exception as error:
                self.broken = error  # the engine's next look at its attempts raises it
                self._tell()
                raise
            if self._look.taken_s != before_s:
                self._tell()
