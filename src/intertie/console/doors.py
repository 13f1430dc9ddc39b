"""The console's plain HTTP routes: signing in and out, the language, and file downloads."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response
from starlette.background import BackgroundTask

from intertie.client import IntertieError
from intertie.client.blobs import fetch
from intertie.client.errors import NotFound, problem_of
from intertie.client.transport import Transport
from intertie.console.frame import in_thread
from intertie.console.speech import Speech, Text, negotiate, zone_of
from intertie.console.visitors import Visitor, Visitors
from intertie.wire.base import Problem
from intertie.wire.jobs import FileView

FORM_BYTES_MAX = 8 * 1024
SEE_OTHER = 303


class Doors:
    """What every route needs: who is signed in, and the texts."""

    def __init__(self, url: str, text: Text, languages: tuple[str, ...]) -> None:
        self.visitors = Visitors(url)
        self.text = text
        self.languages = languages

    def speech(self, request: Request) -> Speech:
        """Return the language that the visitor chose, else the one that the browser asks for."""
        chosen = request.session.get("lang")
        if chosen not in self.languages:
            chosen = negotiate(request.headers.get("accept-language", ""), self.languages)
        return Speech(self.text, chosen, zone_of(str(request.session.get("zone", ""))))

    def visitor(self, request: Request) -> Visitor | None:
        return self.visitors.find(request.session.get("visitor"))

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes to an app."""
        app.post("/session", include_in_schema=False)(self.sign_in)
        app.post("/session/end", include_in_schema=False)(self.sign_out)
        app.get("/language/{lang}", include_in_schema=False)(self.choose_language)
        app.get("/jobs/{job}/files/{task}/{path:path}", include_in_schema=False)(self.download)

    async def sign_in(self, request: Request) -> Response:
        """Take the token from the form; it goes nowhere but into this process's memory."""
        if not _is_from_here(request):
            return PlainTextResponse("the form came from another site", status_code=403)
        form = await _form(request)
        speech = self.speech(request)
        token = form.get("token", "").strip()
        self.visitors.sign_out(request.session.pop("visitor", None))
        try:
            key = await in_thread(lambda: self.visitors.sign_in(token, speech.lang))
        except IntertieError as error:
            request.session["problem"] = error.problem.model_dump(mode="json")
            return RedirectResponse("/sign-in", SEE_OTHER)
        request.session["visitor"] = key
        request.session["zone"] = form.get("zone", "")[:64]
        return RedirectResponse("/", SEE_OTHER)

    async def sign_out(self, request: Request) -> Response:
        if not _is_from_here(request):
            return PlainTextResponse("the form came from another site", status_code=403)
        self.visitors.sign_out(request.session.pop("visitor", None))
        return RedirectResponse("/sign-in", SEE_OTHER)

    async def choose_language(self, request: Request, lang: str, back: str = "/") -> Response:
        """Remember a language and go back to a page of this console, never elsewhere."""
        if lang in self.languages:
            request.session["lang"] = lang
        is_ours = re.fullmatch(r"/(?![/\\])[\w./-]*", back, re.ASCII) is not None
        return RedirectResponse(back if is_ours else "/", SEE_OTHER)

    async def download(self, request: Request, job: str, task: int, path: str) -> Response:
        """Send one file of a job, fetched with the visitor's own token and checked."""
        visitor = self.visitor(request)
        if visitor is None:
            return RedirectResponse("/sign-in", SEE_OTHER)
        folder = Path(tempfile.mkdtemp(prefix="intertie-console-"))
        lang = self.speech(request).lang
        try:
            place = await in_thread(lambda: _fetch(visitor, lang, job, task, path, folder))
        except IntertieError as error:
            shutil.rmtree(folder, ignore_errors=True)
            return PlainTextResponse(str(error), status_code=error.status or 502)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return FileResponse(
            place,
            media_type="application/octet-stream",
            filename=Path(path).name,
            background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
        )


def take_problem(request: Request) -> Problem | None:
    """Return why signing in failed the last time, once."""
    told = request.session.pop("problem", None)
    return Problem.model_validate(told) if told else None


def _fetch(visitor: Visitor, lang: str, job: str, task: int, path: str, folder: Path) -> Path:
    """Return where the file was put, once its content has the hash that the network promised."""
    job_id = quote(job, safe="")
    files: Iterator[FileView] = visitor.network(lang).files(job_id)
    found = next((file for file in files if (file.task, file.path) == (task, path)), None)
    if found is None:
        raise NotFound(problem_of("not_found", f"There is no file {path!r}", status=404))
    transport = Transport(visitor.url, visitor.token, lang)
    try:
        return fetch(transport, job_id, found, folder)
    finally:
        transport.close()


def _is_from_here(request: Request) -> bool:
    """Return whether a form was sent from one of this console's own pages."""
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a small form, the first value of each."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}
