"""What a machine could offer, as an agent would say it."""

from rich.console import Group, RenderableType
from rich.text import Text

from intertie.catalogue.texts import number_of_milli, text
from intertie.cli.render.base import Columns, abilities_in_words, number_cell
from intertie.engines.protocol import EngineFacts
from intertie.model.units import GIB


def facts_view(facts: EngineFacts, lang: str) -> RenderableType:
    """Return the nodes, the software, and what is and is not enforced."""
    columns = Columns(lang, text(lang, "cli.agent.machine", engine=facts.engine)).word("node")
    columns.number("cores").number("memory").number("disk").number("devices").word("device_class")
    nodes = columns.rows(
        [
            node.name,
            number_of_milli(node.cpus_milli),
            number_cell(node.memory_bytes / GIB, 1),
            number_cell(node.disk_bytes / GIB, 1),
            str(node.device_count),
            node.device_class or "–",
        ]
        for node in facts.nodes
    )
    lines = [Text(f"{stack.name} {stack.version}") for stack in facts.software]
    enforced = abilities_in_words(facts.abilities, lang) or "–"
    lines.append(Text(text(lang, "cli.agent.enforces", what=enforced), style="green"))
    if facts.not_enforced:
        missing = abilities_in_words(facts.not_enforced, lang)
        lines.append(Text(text(lang, "cli.agent.not_enforced", what=missing), style="yellow"))
    return Group(nodes, *lines)
