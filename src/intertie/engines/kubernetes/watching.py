"""What the API server says of our own jobs and pods, kept by one thread for each kind."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any

from intertie.engines.kubernetes.site import WATCH_S, Expired, Site
from intertie.engines.protocol import EngineUnavailable

Document = dict[str, Any]
# A watch that misses an event would never know: everything is listed again now and then.
RELIST_S = 600.0
RETRY_S, RETRY_MAX_S = 0.2, 5.0


class Watch:
    """The objects of one kind with one label. Told apart: never seen, seen, and out of touch."""

    def __init__(self, site: Site, path: str, labels: str, changed: Callable[[], None]) -> None:
        self._site, self._path, self._labels, self._changed = site, path, labels, changed
        self._known: dict[str, Document] = {}
        self._departed: dict[str, Document] = {}
        self._lock = Lock()
        self._listed_at = 0.0
        self._trouble = "the Kubernetes API has not answered yet"
        self._has_tried = Event()
        self._closing = Event()
        self._end_stream: Callable[[], None] = _nothing
        self._thread = Thread(target=self._run, name=f"watch {path}", daemon=True)
        self._thread.start()

    def objects(self) -> dict[str, Document]:
        """Return all objects by name; EngineUnavailable where the server is out of touch."""
        self._has_tried.wait(WATCH_S)
        with self._lock:
            if self._trouble:
                raise EngineUnavailable(self._trouble)
            return dict(self._known)

    def departed(self) -> dict[str, Document]:
        """Return the last that was seen of objects that are gone."""
        with self._lock:
            return dict(self._departed)

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is kept of objects that are gone."""
        with self._lock:
            for name in names:
                self._departed.pop(name, None)

    def believe(self, document: Document) -> None:
        """Take in what another request said before the watch says it."""
        with self._lock:
            self._known.setdefault(document["metadata"]["name"], document)

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        with suppress(Exception):  # the connection may be in any state
            self._end_stream()
        self._thread.join(WATCH_S)

    def _run(self) -> None:
        since, pause_s = "", RETRY_S
        while not self._closing.is_set():
            try:
                if not since or time.monotonic() - self._listed_at > RELIST_S:
                    since = self._list()
                since = self._follow(since)
                pause_s = RETRY_S
            except Expired:
                since = ""
            except EngineUnavailable as error:
                self._lose(str(error))
                self._closing.wait(pause_s)
                since, pause_s = "", min(2 * pause_s, RETRY_MAX_S)

    def _list(self) -> str:
        items, since = self._site.list(self._path, labelSelector=self._labels)
        known = {each["metadata"]["name"]: each for each in items}
        with self._lock:
            self._departed |= {name: self._known[name] for name in self._known.keys() - known}
            self._known = known
            self._trouble = ""
        self._listed_at = time.monotonic()
        self._has_tried.set()
        self._changed()
        return since

    def _follow(self, since: str) -> str:
        for event in self._site.watch(self._path, self._labels, since, self._opened):
            told = event["object"]
            since = told["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            name = told["metadata"]["name"]
            with self._lock:
                if event["type"] == "DELETED":
                    self._known.pop(name, None)
                    self._departed[name] = told
                else:
                    self._known[name] = told
            self._changed()
        return since

    def _opened(self, end: Callable[[], None]) -> None:
        self._end_stream = end
        if self._closing.is_set():
            end()

    def _lose(self, trouble: str) -> None:
        with self._lock:
            self._trouble = trouble
        self._has_tried.set()
        self._changed()


def _nothing() -> None:
    pass
