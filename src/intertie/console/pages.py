"""The console's pages, mounted on the API's own server."""

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from nicegui import app as pages_app
from nicegui import ui

from intertie.client import IntertieError
from intertie.console import ledger, network, operations, projects, queue, whatifs
from intertie.console.doors import SEE_OTHER, Doors, take_problem
from intertie.console.frame import Frame, Visit, begin_page, language_links
from intertie.console.guard import Guard
from intertie.console.job import JobPage
from intertie.console.jobs import JobList
from intertie.console.join import JoinPage
from intertie.console.problems import show_problem
from intertie.console.speech import Text
from intertie.console.submit import SubmitPage

Build = Callable[[Frame], object]


def mount(
    app: FastAPI, api_url: str, text: Text, languages: Sequence[str], storage_secret: str
) -> None:
    """Mount the console on the API's own app, once in a process and after the API's routes.

    `api_url` is where that API answers on loopback; `text` is the catalogue's; `languages` are
    those it has texts in, the default first; `storage_secret` signs the session cookies.
    """
    doors = Doors(api_url, text, tuple(languages))
    doors.add_routes(pages_app)
    _add_pages(doors)
    pages_app.add_middleware(Guard)
    ui.run_with(
        app,
        mount_path="/",
        title="Intertie",
        favicon=_ICON,
        dark=None,
        storage_secret=storage_secret,
        # Cookies know no ports: two networks on one machine must not share a name.
        session_middleware_kwargs={
            "session_cookie": f"intertie_{urlsplit(api_url).port or 0}",
            "same_site": "lax",
            "https_only": urlsplit(api_url).scheme == "https",
            "max_age": 14 * 86_400,
        },
        show_welcome_message=False,
        reconnect_timeout=10.0,
    )


def _add_pages(doors: Doors) -> None:
    ui.page("/sign-in")(_sign_in_page(doors))
    ui.page("/")(_first_page(doors))
    for path, title, build in (
        ("/network", "network.title", network.build),
        ("/jobs", "jobs.title", JobList),
        ("/queue", "queue.title", queue.build),
        ("/submit", "submit.title", SubmitPage),
        ("/ledger", "ledger.title", ledger.build),
        ("/projects", "projects.title", projects.build),
        ("/operations", "operations.title", operations.build),
        ("/what-if", "what_if.title", whatifs.build),
    ):
        ui.page(path)(_page(doors, title, build))
    ui.page("/join")(_join_page(doors))
    ui.page("/jobs/{job}")(_job_page(doors))


def _page(doors: Doors, title: str, build: Build) -> Callable[[Request], Response | None]:
    def page(request: Request) -> Response | None:
        return _open(doors, request, title, build)

    return page


def _job_page(doors: Doors) -> Callable[[Request, str], Response | None]:
    def page(request: Request, job: str) -> Response | None:
        return _open(doors, request, "job.title", lambda frame: JobPage(frame, quote(job, safe="")))

    return page


def _join_page(doors: Doors) -> Callable[[Request], Response | None]:
    def page(request: Request) -> Response | None:
        here, api = str(request.base_url), doors.visitors.url
        return _open(doors, request, "join.title", lambda frame: JoinPage(frame, here, api))

    return page


def _first_page(doors: Doors) -> Callable[[Request], Response]:
    def page(request: Request) -> Response:
        visitor = doors.visitor(request)
        if visitor is None:
            return RedirectResponse("/sign-in", SEE_OTHER)
        first = "/jobs" if visitor.who.role == "project" else "/network"
        return RedirectResponse(first, SEE_OTHER)

    return page


def _open(doors: Doors, request: Request, title: str, build: Build) -> Response | None:
    """Build a page for whoever is signed in; anyone else signs in first."""
    visitor = doors.visitor(request)
    if visitor is None:
        return RedirectResponse("/sign-in", SEE_OTHER)
    speech = doors.speech(request)
    key = str(request.session["visitor"])
    visit = Visit(doors.visitors, key, visitor, speech, doors.languages, request.url.path)
    build(Frame(visit, speech.say(title)))
    return None


def _sign_in_page(doors: Doors) -> Callable[[Request], None]:
    def page(request: Request) -> None:
        speech = doors.speech(request)
        say = speech.say
        begin_page(speech, say("sign_in.title"))
        with ui.column().classes("console-sign-in"):
            ui.label(say("product.name")).classes("console-h1").props("role=heading aria-level=1")
            ui.label(say("product.line")).classes("console-note")
            problem = take_problem(request)
            if problem is not None:
                show_problem(IntertieError(problem), speech)
            with ui.element("form").props('method="post" action="/session"'):
                ui.input(say("sign_in.token"), password=True).props(
                    'name="token" outlined autofocus autocomplete="current-password"'
                )
                zone = ui.element("input").props('type="hidden" name="zone" id="zone"')
                zone.props('value=""')
                ui.button(say("sign_in.enter")).props('type="submit" no-caps unelevated')
            ui.label(say("sign_in.where")).classes("console-note")
            language_links(speech, doors.languages, "/sign-in")
        ui.add_body_html(_TELL_ZONE)

    return page


# Times are shown in the browser's zone, so the form tells which one that is.
_TELL_ZONE = """<script>
addEventListener("submit", () => {
  const field = document.getElementById("zone");
  if (field) field.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
}, true);
</script>"""

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><g fill="none" stroke="#1f6f5c" '
    'stroke-width="3"><path d="M6 16h20M16 6v20"/><circle cx="16" cy="16" r="11"/></g></svg>'
)
