"""Quote and submit: a spec is pasted, priced, and taken at the price that was shown."""

import time
from collections.abc import Callable
from uuid import uuid4

from nicegui import ui

from intertie.client import Intertie
from intertie.console.frame import Frame
from intertie.console.parts import heading, note, section
from intertie.console.pasted import EXAMPLE, TEXT_MAX, read_pasted
from intertie.console.quotes import show_options, show_sizing
from intertie.wire.jobs import JobView
from intertie.wire.market import QuoteView


class SubmitPage:
    """The editor and what the network answers to its text."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        say = frame.say
        heading(say("submit.title"))
        note(say("submit.note"))
        self._editor = ui.textarea(say("submit.editor"), value=EXAMPLE).classes(
            "console-editor w-full"
        )
        self._editor.props(f"outlined input-style='min-height: 22rem' maxlength={TEXT_MAX}")
        self._editor.props("spellcheck=false autocomplete=off")
        self._editor.on_value_change(self._forget)
        with ui.row():
            ui.button(say("submit.quote"), on_click=self._ask_quote).props("no-caps unelevated")
            ui.button(say("submit.now"), on_click=self._submit_now).props("no-caps outline")
        self._answer = ui.column().classes("w-full")
        self._until: tuple[ui.label, int] | None = None
        ui.timer(1.0, self._count_down)

    async def _ask_quote(self) -> None:
        written = str(self._editor.value)
        self._forget()
        quote = await self.frame.ask(lambda network: network.quote(read_pasted(written)))
        if quote is None or written != self._editor.value:
            return
        with self._answer:
            self._show_quote(quote, written)

    def _show_quote(self, quote: QuoteView, written: str) -> None:
        say = self.frame.say
        section(say("job.quote"))
        self._until = (ui.label().classes("console-note"), quote.until)
        self._count_down()
        show_sizing(self.frame.speech, quote)

        # One key for the quote: a second click on a button is the same job.
        key = uuid4().hex

        async def choose(option: str) -> None:
            await self._submit(
                lambda network: network.submit(
                    read_pasted(written), quote=quote.id, option=option, key=f"{key}-{option}"
                )
            )

        show_options(self.frame.speech, quote, choose)

    async def _submit_now(self) -> None:
        written, key = str(self._editor.value), uuid4().hex
        await self._submit(lambda network: network.submit(read_pasted(written), key=key))

    async def _submit(self, work: Callable[[Intertie], JobView]) -> None:
        job = await self.frame.ask(work)
        if job is not None:
            ui.navigate.to(f"/jobs/{job.id}")

    def _forget(self) -> None:
        """Take the answer away: it was to another text."""
        self._until = None
        self._answer.clear()

    def _count_down(self) -> None:
        if self._until is None:
            return
        label, until = self._until
        left_s = max(0, until // 1000 - int(time.time()))
        key = "quote.firm_for" if left_s else "quote.lapsed"
        label.set_text(self.frame.say(key, left_s=left_s))
