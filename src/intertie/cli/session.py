"""One call of the command: its language, its network, and where its answers go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from intertie.catalogue.texts import text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel
    from rich.console import Console, RenderableType

    from intertie.client import Intertie, IntertieError

WIDTH = 100


@dataclass(frozen=True)
class Options:
    """The options that every command takes."""

    lang: str
    url: str | None = None
    token: str | None = None
    as_name: str | None = None
    as_json: bool = False


class Session:
    """What a command function works with: the network, texts, and the two outputs."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.lang = options.lang
        self.as_json = options.as_json

    @cached_property
    def network(self) -> Intertie:
        """The network that was asked for; raise Unreachable or BadInput when none is known."""
        return connect(self.options)

    @cached_property
    def out(self) -> Console:
        return _console(False)

    @cached_property
    def err(self) -> Console:
        return _console(True)

    def text(self, key: str, /, **values: Any) -> str:
        return text(self.lang, key, **values)

    def show(
        self, answer: BaseModel | Sequence[BaseModel], render: Callable[[], RenderableType]
    ) -> None:
        """Print the answer: as JSON exactly as it came, else as `render` draws it."""
        if self.as_json:
            print(as_json(answer))
        else:
            self.out.print(render())

    def say(self, key: str, /, **values: Any) -> None:
        """Print a line for a person; nothing where JSON was asked for."""
        if not self.as_json:
            self.out.print(self.text(key, **values), highlight=False, markup=False)

    def fail(self, error: IntertieError) -> None:
        """Print an error on stderr, as Problem JSON or as lines."""
        if self.as_json:
            print(as_json(error.problem), file=self.err.file)
        else:
            from intertie.cli.render.problem import problem_lines, spoken_faults

            problem = spoken_faults(error, self.lang)
            self.err.print(problem_lines(problem, self.lang), highlight=False)

    def interrupt(self, told: str = "") -> None:
        """Say on stderr that Ctrl-C ended this call, and what goes on without it."""
        from intertie.client.errors import problem_of

        title = self.text("problem.interrupted")
        if self.as_json:
            print(as_json(problem_of("interrupted", title, told)), file=self.err.file)
        else:
            self.err.print(told or title, markup=False)

    @contextmanager
    def waiting(self, key: str) -> Iterator[None]:
        """Show on stderr that something goes on whose length is not known."""
        if self.as_json or not self.err.is_terminal:
            yield
            return
        with self.err.status(self.text(key)):
            yield

    @contextmanager
    def progress(self, key: str, is_bytes: bool = True) -> Iterator[Callable[[int, int], None]]:
        """Show progress on stderr while something lasts; yield the function that reports it.

        It is told how much of all is done: of bytes, or of things that are counted.
        """
        if self.as_json or not self.err.is_terminal:
            yield lambda done, total: None
            return
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
        )

        counted = DownloadColumn(True) if is_bytes else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), counted)
        with Progress(*columns, console=self.err, transient=True) as bar:
            task = bar.add_task(self.text(key), total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def connect(options: Options) -> Intertie:
    """Return a connection for these options. Tests put their own network here."""
    from intertie.client import Intertie

    return Intertie(options.url, options.token, options.lang, name=options.as_name)


def as_json(answer: BaseModel | Sequence[BaseModel]) -> str:
    """Return a wire model, or a list of them, as JSON."""
    from pydantic import BaseModel

    if isinstance(answer, BaseModel):
        return answer.model_dump_json(by_alias=True, indent=2)
    plain = [item.model_dump(mode="json", by_alias=True) for item in answer]
    return json.dumps(plain, indent=2, ensure_ascii=False)


def _console(is_error: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=is_error, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDTH
    return console
