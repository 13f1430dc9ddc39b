"""`intertie`: every command, in the order of the help."""

import os
import sys
from typing import Any

import typer

from intertie.cli import (
    agents,
    books,
    jobs,
    joining,
    market,
    network,
    operating,
    parties,
    run,
    sessions,
    shares,
    simulate,
    webhooks,
    whatifs,
)
from intertie.cli.commands import Command, build, startup_language
from intertie.cli.exits import BAD_INPUT

COMMANDS = (
    Command("up", network.up, "network"),
    Command("demo", network.demo, "network"),
    Command("run", run.run, "jobs", run.spec_fields),
    Command("submit", run.submit, "jobs", run.spec_fields),
    Command("open", sessions.open_session, "jobs", sessions.session_fields),
    Command("quote", market.quote, "jobs", run.spec_fields),
    Command("jobs", jobs.jobs, "jobs"),
    Command("job", jobs.job, "jobs"),
    Command("why", jobs.why, "jobs"),
    Command("queue", jobs.queue, "jobs"),
    Command("logs", jobs.logs, "jobs"),
    Command("cancel", jobs.cancel, "jobs"),
    Command("results", jobs.results, "jobs"),
    Command("receipt", jobs.receipt, "jobs"),
    Command("offers", market.offers, "market"),
    Command("providers", parties.providers_list, "market"),
    Command("providers list", parties.providers_list, "market"),
    Command("providers add", parties.providers_add, "market"),
    Command("providers token", parties.providers_token, "market"),
    Command("projects", parties.projects_list, "market"),
    Command("projects list", parties.projects_list, "market"),
    Command("projects add", parties.projects_add, "market"),
    Command("projects top-up", parties.projects_top_up, "market"),
    Command("projects block", parties.projects_block, "market"),
    Command("shares", shares.show, "market"),
    Command("shares add", shares.add, "market"),
    Command("shares set", shares.set_share, "market"),
    Command("webhook", webhooks.show, "market"),
    Command("webhook list", webhooks.show, "market"),
    Command("webhook add", webhooks.add, "market"),
    Command("webhook remove", webhooks.remove, "market"),
    Command("webhook test", webhooks.test, "market"),
    Command("ledger check", books.check, "market"),
    Command("ledger show", books.show, "market"),
    Command("join", joining.join, "supply"),
    Command("leave", joining.leave, "supply"),
    Command("agent run", agents.run, "supply"),
    Command("agent check", agents.check, "supply"),
    Command("agent reclaim", agents.reclaim, "supply"),
    Command("agent release", agents.release, "supply"),
    Command("simulate", simulate.simulate, "operation"),
    Command("what-if", whatifs.what_if, "operation"),
    Command("init", operating.init, "operation"),
    Command("serve", operating.serve, "operation"),
    Command("decide", operating.decide, "operation"),
    Command("migrate", operating.migrate, "operation"),
    Command("backup", operating.backup, "operation"),
    Command("restore", operating.restore, "operation"),
    Command("incarnate", operating.incarnate, "operation"),
    Command("doctor", operating.doctor, "operation"),
    Command("whoami", network.whoami, "network"),
    Command("version", network.version, "network"),
)

# Every mistake in the words of a command line is one of typer's usage errors.
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]


def app() -> None:
    """Run the command with the arguments and the language of this process."""
    arguments = sys.argv[1:]
    lang = startup_language(arguments, os.environ)
    command = build(COMMANDS, lang)
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" not in own:
        command(prog_name="intertie")
        return
    try:
        sys.exit(command(prog_name="intertie", standalone_mode=False) or 0)
    except USAGE_ERROR as error:
        print(_usage_problem(error), file=sys.stderr)
        sys.exit(BAD_INPUT)


def _usage_problem(error: Any) -> str:
    from intertie.client.errors import problem_of

    message = error.format_message()
    problem = problem_of("bad_option", "The command line is wrong", message, status=0)
    return problem.model_dump_json(by_alias=True, indent=2)


if __name__ == "__main__":
    app()
