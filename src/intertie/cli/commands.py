"""How a function becomes a command: its texts, the options all commands share, its exit code."""

from __future__ import annotations

import copy
import inspect
import sys
import traceback
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import typer

from intertie.catalogue.texts import negotiate, text
from intertie.cli import exits
from intertie.cli.session import Options, Session

Run = Callable[..., int | None]


@dataclass(frozen=True)
class Command:
    """One command: its words, the function that does it, and the panel of the help it stands in.

    `fields` holds more options in its signature; what is told of them reaches the function's
    `fields` as a dictionary, so that several commands can take them alike.
    """

    words: str
    run: Run
    panel: str
    fields: Callable[..., None] | None = None


def _all_take(
    as_json: Annotated[bool, typer.Option("--json", help="cli.option.json")] = False,
    lang: Annotated[
        str | None, typer.Option("--lang", help="cli.option.lang", metavar="en|zh-CN")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="cli.option.url", metavar="URL")] = None,
    token: Annotated[
        str | None, typer.Option("--token", help="cli.option.token", metavar="TOKEN")
    ] = None,
    as_name: Annotated[
        str | None, typer.Option("--as", help="cli.option.as", metavar="NAME")
    ] = None,
) -> None:
    """Every command takes these, before or after its own words."""


def build(commands: tuple[Command, ...], lang: str) -> typer.Typer:
    """Return the command with its help in one language.

    A command of one word that others begin with is what that word does alone.
    """
    root = _group(text(lang, "cli.help.intertie"), _epilog(lang))
    root.callback()(_root_callback(lang))
    groups = {command.words.split()[0] for command in commands if " " in command.words}
    made: dict[str, typer.Typer] = {}
    for command in commands:
        above, _, name = command.words.rpartition(" ")
        panel = text(lang, f"cli.panel.{command.panel}")
        spoken = text(lang, f"cli.help.{_key(command.words)}")
        if (group := above or name) in groups and group not in made:
            made[group] = _group(text(lang, f"cli.help.{group}"), None)
            root.add_typer(made[group], name=group, rich_help_panel=panel)
        if name in groups:
            made[name].info.no_args_is_help = False
            made[name].callback(invoke_without_command=True)(_function(command, lang))
            continue
        parent, where = (made[above], None) if above else (root, panel)
        parent.command(name, help=spoken, rich_help_panel=where)(_function(command, lang))
    return root


def startup_language(arguments: list[str], environment: Mapping[str, str]) -> str:
    """Return the language for help: --lang, else the locale of the environment."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    for at, word in enumerate(own):
        if word == "--lang" and at + 1 < len(own):
            return negotiate(own[at + 1])
        if word.startswith("--lang="):
            return negotiate(word.removeprefix("--lang="))
    for name in ("INTERTIE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environment.get(name):
            return negotiate(environment[name])
    return negotiate(None)


def _group(spoken_help: str, epilog: str | None) -> typer.Typer:
    return typer.Typer(
        help=spoken_help,
        epilog=epilog,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["--help", "-h"]},
    )


def _epilog(lang: str) -> str:
    codes = [f"{code} {text(lang, f'cli.exit.{code}')}" for code in exits.CODES]
    return text(lang, "cli.exit_codes") + " " + " · ".join(codes)


def _root_callback(lang: str) -> Callable[..., None]:
    """Return what takes the shared options when they stand before the command's words."""

    def root(ctx: typer.Context, **given: Any) -> None:
        ctx.obj = {name: value for name, value in given.items() if value}

    _give_signature(root, [], lang)
    return root


def _function(command: Command, lang: str) -> Callable[..., None]:
    """Return the function that typer calls: it makes the session, runs, and ends with a code."""
    own = [p for p in _parameters(command.run)[1:] if p.name != "fields"]
    more = _parameters(command.fields) if command.fields else []
    gathered = {parameter.name for parameter in more}
    everyone = set(inspect.signature(_all_take).parameters)

    def call(ctx: typer.Context, **given: Any) -> None:
        told = {name: value for name, value in given.items() if name in everyone and value}
        everywhere = (ctx.find_root().obj or {}) | told
        if ctx.invoked_subcommand is not None:
            ctx.find_root().obj = everywhere
            return
        options = _options(lang, everywhere)
        rest = {n: v for n, v in given.items() if n not in everyone and n not in gathered}
        if gathered:
            rest["fields"] = {n: v for n, v in given.items() if n in gathered and v}
        raise typer.Exit(_run(command.run, Session(options), rest))

    _give_signature(call, own + more, lang)
    return call


def _options(lang: str, told: dict[str, Any]) -> Options:
    return replace(Options(lang), **(told | {"lang": negotiate(told.get("lang", lang))}))


def _run(run: Run, session: Session, given: dict[str, Any]) -> int:
    from intertie.client import IntertieError

    try:
        return run(session, **given) or exits.DONE
    except IntertieError as error:
        session.fail(error)
        return exits.code_of_error(error)
    except KeyboardInterrupt:
        session.interrupt()
        return exits.INTERRUPTED
    except (typer.Exit, typer.BadParameter, BrokenPipeError):
        raise
    except Exception:  # noqa: BLE001 - our mistake, told once at the border with its own code
        traceback.print_exc(file=sys.stderr)
        return exits.OUR_MISTAKE


def _key(words: str) -> str:
    return words.replace(" ", "_").replace("-", "_")


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return a function's parameters with their annotations read."""
    hints = typing.get_type_hints(function, include_extras=True)
    found = inspect.signature(function).parameters.values()
    return [parameter.replace(annotation=hints[parameter.name]) for parameter in found]


def _give_signature(
    function: Callable[..., Any], parameters: list[inspect.Parameter], lang: str
) -> None:
    """Let typer see the context, these parameters and those that all commands take."""
    panel = text(lang, "cli.panel.everywhere")
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    seen = [_spoken(p, lang, None) for p in parameters]
    seen += [_spoken(p, lang, panel) for p in _parameters(_all_take)]
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in seen]
    function.__signature__ = inspect.Signature([context, *keyword])  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in [context, *keyword]}


def _spoken(parameter: inspect.Parameter, lang: str, panel: str | None) -> inspect.Parameter:
    """Return a parameter whose help, a key until now, is in one language."""
    kind, info = typing.get_args(parameter.annotation)
    said = copy.copy(info)
    said.help = text(lang, info.help)
    said.rich_help_panel = panel or info.rich_help_panel
    return parameter.replace(annotation=Annotated[kind, said])
