"""Small parts that pages share: headings, facts, notes, a bar of tasks by state."""

from collections.abc import Sequence

from nicegui import ui

STATE_COLOURS = {
    "held": "#90a4ae",
    "queued": "#f0b429",
    "placed": "#4f9ed9",
    "running": "#1f6fd1",
    "stopping": "#e07b39",
    "ended": "#2e8b57",
    "settled": "#2e8b57",
}


def heading(text: str) -> None:
    """Show what the page is about."""
    ui.label(text).classes("console-h1").props("role=heading aria-level=1")


def section(text: str, note: str = "") -> None:
    """Show what the next part of the page is about."""
    ui.label(text).classes("console-h2").props("role=heading aria-level=2")
    if note:
        ui.label(note).classes("console-note")


def note(text: str) -> None:
    """Show a remark in a quieter colour."""
    ui.label(text).classes("console-note")


def facts(pairs: Sequence[tuple[str, str]]) -> None:
    """Show names with their values."""
    with ui.element("div").classes("console-facts"):
        for name, value in pairs:
            with ui.element("div"):
                ui.label(name).classes("console-fact-name")
                ui.label(value).classes("console-fact-value")


def bar(parts: Sequence[tuple[str, int, str]]) -> None:
    """Show counts as one bar with a legend. Each part is (name, count, colour)."""
    with ui.element("div").classes("console-bar").props("aria-hidden=true"):
        for _, count, colour in parts:
            if count:
                ui.element("div").style(f"flex: {count} 0 0; background: {colour}")
    with ui.element("div").classes("console-legend"):
        for name, count, colour in parts:
            if count:
                with ui.element("div"):
                    ui.element("span").classes("console-dot").style(f"background: {colour}")
                    ui.label(f"{name} {count}")
