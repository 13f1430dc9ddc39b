"""The API server: one thin runner. Raw documents in and out, every failure told apart."""

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any
from urllib.parse import quote

from intertie.engines.protocol import EngineUnavailable

Document = dict[str, Any]
CONNECT_S, ANSWER_S = 5.0, 15.0
# How long one watch lasts. A server that went away without a word is noticed after as long.
WATCH_S = 20
PAGE = 500


class Expired(Exception):
    """What a watch should go on from is too old; list again."""


class QuotaFull(EngineUnavailable):
    """A quota of the namespace is full; it may have room later."""


class Forbidden(EngineUnavailable):
    """Our account may not do this."""


class Site:
    """One namespace of one cluster, by the official client's configuration and connections."""

    def __init__(self, namespace: str, kubeconfig: str, context: str) -> None:
        try:
            self._errors = import_module("urllib3.exceptions").HTTPError
            self._api = _open(kubeconfig, context)
        except ImportError as error:
            raise ValueError(
                "the client is not installed: pip install intertie[kubernetes]"
            ) from error
        spaces = f"namespaces/{quote(namespace, safe='')}"
        self.jobs = f"/apis/batch/v1/{spaces}/jobs"
        self.pods = f"/api/v1/{spaces}/pods"
        self.events = f"/api/v1/{spaces}/events"
        self.quotas = f"/api/v1/{spaces}/resourcequotas"

    def list(self, path: str, **query: str) -> tuple[list[Document], str]:
        """Return all objects, page by page, and the version that a watch may go on from."""
        items: list[Document] = []
        page: dict[str, str] = {}
        while True:
            told = self._json("GET", path, query | page | {"limit": str(PAGE)})
            items += told.get("items") or []
            if not (more := told["metadata"].get("continue", "")):
                return items, told["metadata"].get("resourceVersion", "")
            page = {"continue": more}

    def watch(
        self, path: str, labels: str, since: str, opened: Callable[[Callable[[], None]], None]
    ) -> Iterator[Document]:
        """Yield each event after a version, until the server ends it; tell how to end it sooner."""
        query = {
            "watch": "true",
            "labelSelector": labels,
            "resourceVersion": since,
            "timeoutSeconds": str(WATCH_S),
            "allowWatchBookmarks": "true",
        }
        answer = self._ask("GET", path, query, timeout_s=WATCH_S + ANSWER_S)
        stream = answer.response
        opened(stream.shutdown)
        half = b""
        try:
            for data in stream.stream(amt=None, decode_content=False):
                *lines, half = (half + data).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        _raise_expired(event["object"])
                    yield event
        except (self._errors, OSError, ValueError) as error:
            raise EngineUnavailable(f"the watch broke off: {error}") from error
        finally:
            stream.close()
            stream.release_conn()

    def get(self, path: str, name: str) -> Document | None:
        """Return one object; None if there is none of that name."""
        with suppress(LookupError):
            return self._json("GET", f"{path}/{quote(name, safe='')}")
        return None

    def create(self, path: str, document: Document) -> Document | None:
        """Return the new object; None if there is one of that name. ValueError: it is wrong."""
        with suppress(FileExistsError):
            return self._json("POST", path, body=document)
        return None

    def patch(self, path: str, name: str, patch: Document) -> None:
        """Change an object, if it is there."""
        headers = {"Content-Type": "application/merge-patch+json"}
        with suppress(LookupError, FileExistsError):
            self._json("PATCH", f"{path}/{quote(name, safe='')}", body=patch, headers=headers)

    def delete(self, path: str, name: str, grace_s: int | None = None) -> None:
        """Delete an object and what hangs on it, if it is there."""
        body: Document = {"propagationPolicy": "Background"}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        with suppress(LookupError, FileExistsError):
            self._json("DELETE", f"{path}/{quote(name, safe='')}", body=body)

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Document:
        answer = self._ask(method, path, query or {}, body, headers or {})
        try:
            told: Document = json.loads(answer.read())
        except (self._errors, OSError, ValueError) as error:
            raise EngineUnavailable(f"the Kubernetes API broke off: {error}") from error
        return told

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_S,
    ) -> Any:
        told = {"Accept": "application/json", "Content-Type": "application/json", **(headers or {})}
        request = self._api.param_serialize(
            method, path, None, list(query.items()), told, body, auth_settings=["BearerToken"]
        )
        try:
            answer = self._api.call_api(*request, _request_timeout=(CONNECT_S, timeout_s))
        except (self._errors, OSError, ssl.SSLError) as error:
            raise EngineUnavailable(f"the Kubernetes API does not answer: {error}") from error
        if not 200 <= answer.status < 300:
            _refuse(answer.status, answer.read())
        return answer


def _open(kubeconfig: str, context: str) -> Any:
    """Return the client of a kubeconfig, else of the agent's own pod, else the user's."""
    config, client = import_module("kubernetes.config"), import_module("kubernetes.client")
    settings = client.Configuration()
    settings.retries = False  # whoever asks knows when to ask again
    try:
        if not kubeconfig and not context:
            with suppress(config.ConfigException):
                config.load_incluster_config(settings)
                return client.ApiClient(settings)
        config.load_kube_config(kubeconfig or None, context or None, settings)
    except (config.ConfigException, OSError) as error:
        raise ValueError(f"kubeconfig: {error}") from error
    return client.ApiClient(settings)


def _refuse(status: int, text: bytes) -> None:
    message = text.decode(errors="replace")[:1000]
    with suppress(ValueError, AttributeError):
        message = json.loads(text).get("message") or message
    if status == 404:
        raise LookupError(message)
    if status == 409:
        raise FileExistsError(message)
    if status == 410:
        raise Expired(message)
    if status in (400, 422):
        raise ValueError(f"the Kubernetes API refuses it: {message}")
    if status == 403 and "exceeded quota" in message:
        raise QuotaFull(message)
    if status == 403:
        raise Forbidden(message)
    raise EngineUnavailable(f"the Kubernetes API answered {status}: {message}")


def _raise_expired(told: Document) -> None:
    if told.get("code") == 410:
        raise Expired(told.get("message", ""))
    raise EngineUnavailable(f"the watch ended: {told.get('message', '')}")
