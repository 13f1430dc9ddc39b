"""The join page: the one command with which a provider's machine joins, with a fresh token."""

from nicegui import ui

from intertie.client import Intertie
from intertie.client.pinning import join_line, split_address
from intertie.console.frame import Frame
from intertie.console.parts import heading, note, section
from intertie.wire.parties import Created, ProviderView

# The line is longer than a telephone is wide: it breaks anywhere, and leaves room to copy it.
WHOLE = "w-full [&_pre]:!whitespace-pre-wrap [&_pre]:!break-all [&_pre]:!pr-12"


class JoinPage:
    """A provider gets a line for itself, an operator one for the provider that is chosen.

    `url` is how the visitor's browser reached this network; `api_url` may carry the fingerprint of
    the certificate, which the line pins where the visitor came over TLS.
    """

    def __init__(self, frame: Frame, url: str, api_url: str) -> None:
        self._frame, self._url = frame, url.rstrip("/")
        pinned = split_address(api_url)[1]
        self._fingerprint = pinned if self._url.startswith("https://") else ""
        say = frame.say
        heading(say("join.title"))
        note(say("join.note"))
        self._provider = frame.who.id if frame.who.role == "provider" else None
        self._choice: ui.select | None = None
        if self._provider is None:
            self._choice = ui.select({}, label=say("column.provider")).props("outlined")
            self._choice.classes("w-full max-w-md").on_value_change(self._choose)
            frame.live(_providers, self._offer)
        self._button = ui.button(say("join.make"), on_click=self._make).props("no-caps unelevated")
        self._button.classes("self-start").set_enabled(self._provider is not None)
        self._made = ui.column().classes("w-full")

    def _offer(self, providers: list[ProviderView]) -> None:
        assert self._choice is not None
        self._choice.set_options({each.id: each.name for each in providers}, value=self._provider)

    def _choose(self) -> None:
        assert self._choice is not None
        self._provider = self._choice.value
        self._button.set_enabled(self._provider is not None)

    async def _make(self) -> None:
        provider = self._provider
        if provider is None:
            return
        made = await self._frame.ask(lambda network: network.create_enrol_token(provider))
        if made is not None:
            self._show(made)

    def _show(self, made: Created) -> None:
        say = self._frame.say
        self._made.clear()
        with self._made:
            section(say("join.line", provider=made.name), say("join.once"))
            line = join_line(self._url, made.enrol_token, self._fingerprint)
            ui.code(line, language="bash").classes(WHOLE)
            note(say("join.engines"))


def _providers(network: Intertie) -> list[ProviderView]:
    return list(network.providers())
