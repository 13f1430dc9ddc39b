"""What every page has: header, banner, and sections that keep themselves up to date."""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from nicegui import ui
from pydantic import ValidationError

from intertie.client import Intertie, IntertieError, Unreachable
from intertie.client.errors import problem_of
from intertie.console.problems import show_problem
from intertie.console.speech import Speech
from intertie.console.style import CSS
from intertie.console.visitors import Visitor, Visitors

T = TypeVar("T")

# Calls of the SDK wait for the network in these threads, so that the server's loop never does.
_THREADS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="console")


@dataclass(frozen=True)
class Visit:
    """One page view: who looks, in which language, at what path."""

    visitors: Visitors
    key: str
    visitor: Visitor
    speech: Speech
    languages: tuple[str, ...]
    path: str


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, without holding up the server's loop."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)


class Frame:
    """One open page. Sections made with `live` load in threads and show what they found."""

    def __init__(self, visit: Visit, title: str) -> None:
        self.visit = visit
        self.speech = visit.speech
        self.say = visit.speech.say
        self.who = visit.visitor.who
        begin_page(self.speech, title)
        _header(visit)
        self._banner = ui.label().classes("console-banner").props("role=status")
        self._banner.set_visibility(False)
        self._trouble = ui.column().classes("w-full")
        self._gone: set[int] = set()

    @property
    def network(self) -> Intertie:
        return self.visit.visitor.network(self.speech.lang)

    def live(
        self, load: Callable[[Intertie], T], show: Callable[[T], None], every_s: float = 5.0
    ) -> Callable[[], Awaitable[None]]:
        """Load and show now and again every so often; return a function that does so at once."""
        section = _Section(self, load, show)
        ui.timer(every_s, section.refresh)
        return section.refresh

    async def ask(self, work: Callable[[Intertie], T]) -> T | None:
        """Return what the network answers to an action; show its "no" on the page."""
        try:
            found = await in_thread(lambda: work(self.network))
        except IntertieError as error:
            self.tell(error)
            return None
        except ValidationError as error:
            self.tell(_not_understood(error))
            return None
        self.tell(None)
        return found

    def tell(self, error: IntertieError | None) -> None:
        """Show a problem at the top of the page, or take it away."""
        self._trouble.clear()
        if error is not None:
            with self._trouble:
                show_problem(error, self.speech)

    def check_signed_in(self) -> bool:
        """Return whether the visitor is still signed in; leave the page if not."""
        if self.visit.visitors.find(self.visit.key) is None:
            ui.navigate.to("/sign-in")
            return False
        return True

    def note_gone(self, section: object, error: Unreachable | None) -> None:
        """Say that the network does not answer, until every section hears it again."""
        (self._gone.add if error else self._gone.discard)(id(section))
        if error is not None:
            now = self.speech.moment(int(time.time() * 1000))
            self._banner.set_text(self.say("gone", detail=str(error), now=now))
        self._banner.set_visibility(bool(self._gone))


class _Section:
    """Something on a page that is loaded again and again, and redrawn when it has changed."""

    def __init__(
        self, frame: Frame, load: Callable[[Intertie], Any], show: Callable[[Any], None]
    ) -> None:
        self._frame, self._load, self._show = frame, load, show
        self._shown: Any = None
        self._has_shown = False
        self._busy = False
        # What is drawn goes where the section was made, whoever asks for the refresh.
        self._slot = ui.context.slot

    async def refresh(self) -> None:
        if self._busy or not self._frame.check_signed_in():
            return
        self._busy = True
        try:
            await self._reload()
        finally:
            self._busy = False

    async def _reload(self) -> None:
        frame = self._frame
        try:
            found = await in_thread(lambda: self._load(frame.network))
        except Unreachable as error:
            frame.note_gone(self, error)
            return
        except IntertieError as error:
            frame.tell(error)
            return
        except ValidationError as error:
            frame.tell(_not_understood(error))
            return
        except RuntimeError:
            # Signing out closes the connection under a call that waits.
            if frame.visit.visitor.is_over:
                return
            raise
        frame.note_gone(self, None)
        if self._has_shown and found == self._shown:
            return
        self._shown, self._has_shown = found, True
        with self._slot:
            self._show(found)


def _not_understood(error: ValidationError) -> IntertieError:
    detail = f"{error.title}: {error.error_count()}"
    return IntertieError(problem_of("not_understood", "", detail))


def begin_page(speech: Speech, title: str) -> None:
    """Set what the browser's window needs: title, language, colours."""
    page = copy.copy(ui.context.client.page)
    page.language = "zh-CN" if speech.lang == "zh-CN" else "en-US"
    ui.context.client.page = page
    ui.page_title(f"{title} · {speech.say('product.name')}")
    ui.add_css(CSS)


def language_links(speech: Speech, languages: tuple[str, ...], path: str) -> None:
    """Offer the page in the other languages."""
    for lang in languages:
        if lang != speech.lang:
            name = speech.text(lang, "console.language.name")
            ui.link(name, f"/language/{lang}?back={path}").classes("console-nav")


def _header(visit: Visit) -> None:
    say, who = visit.speech.say, visit.visitor.who
    with ui.element("header").classes("console-header"):
        with ui.link(target="/").classes("console-brand"):
            ui.label(say("product.name")).classes("console-name")
            ui.label(say("product.line")).classes("console-line")
        with ui.element("nav").classes("console-navs"):
            for path, key in _pages(who.role):
                link = ui.link(say(key), path).classes("console-nav")
                if visit.path == path or visit.path.startswith(f"{path}/"):
                    link.classes("console-here").props("aria-current=page")
        with ui.element("div").classes("console-who"):
            ui.label(
                say("header.who", name=who.name, role=visit.speech.word("console.role", who.role))
            )
            language_links(visit.speech, visit.languages, visit.path)
            with ui.element("form").props('method="post" action="/session/end"'):
                leave = ui.element("button").props('type="submit"').classes("console-leave")
                with leave:
                    ui.label(say("header.sign_out"))


def _pages(role: str) -> list[tuple[str, str]]:
    pages = [("/network", "nav.network")]
    if role != "provider":
        pages += [("/jobs", "nav.jobs"), ("/queue", "nav.queue")]
    if role == "project":
        pages.append(("/submit", "nav.submit"))
    if role != "project":
        pages.append(("/join", "nav.join"))
    if role == "operator":
        pages += [
            ("/operations", "nav.operations"),
            ("/what-if", "nav.what_if"),
            ("/projects", "nav.projects"),
        ]
    return [*pages, ("/ledger", "nav.ledger")]
