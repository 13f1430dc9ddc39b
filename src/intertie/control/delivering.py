"""One message to one webhook: signed, to an address that may be reached, with an end in time.

A project names the address, so a network that followed it blindly could be sent to its own
insides. The name is resolved here, every address is checked, and the connection goes to the address
that was checked: a name that resolves otherwise a moment later changes nothing. Redirects are
answers like others, and are not followed.

Signatures are those of Standard Webhooks: HMAC-SHA256 over ``id.timestamp.body``.
"""

import asyncio
import base64
import hmac
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from intertie.catalogue.texts import DEFAULT, text

SECRET_PREFIX = "whsec_"
LOCAL = "INTERTIE_WEBHOOKS_LOCAL"
TIMEOUT_S = 10.0
TOTAL_S = 20.0
ERROR_CHARS_MAX = 200
_ANSWER_BYTES_MAX = 4 * ERROR_CHARS_MAX
_NAT64 = "64:ff9b::"
_NAME = re.compile(rb"[A-Za-z0-9_.-]{1,253}")


@dataclass(frozen=True)
class Reach:
    """What may be reached: https at public addresses, and here and in private too if `is_local`."""

    is_local: bool = False
    trust: ssl.SSLContext | None = None
    timeout_s: float = TIMEOUT_S
    total_s: float = TOTAL_S

    @classmethod
    def told_by(cls, environment: Mapping[str, str]) -> "Reach":
        """Return what the operator allows: INTERTIE_WEBHOOKS_LOCAL=1 for tests and closed sites."""
        return cls(is_local=environment.get(LOCAL, "") == "1")


@dataclass(frozen=True)
class Message:
    """What is sent: `id` stays the same when it is sent again; `at_s` is when it is signed."""

    id: str
    body: bytes


@dataclass(frozen=True)
class Delivery:
    """What became of a message. An empty `error` means that the receiver has it (any 2xx)."""

    status: int = 0
    error: str = ""
    took_ms: int = 0

    @property
    def is_gone(self) -> bool:
        """Return whether the receiver wants nothing more, for ever."""
        return self.status == httpx.codes.GONE


class Forbidden(Exception):
    """The address is one that may not be reached; its texts are those of ``fault.webhook_…``."""

    def __init__(self, code: str, **values: str) -> None:
        super().__init__(code, values)
        self.code, self.values = code, values

    def __str__(self) -> str:
        return text(DEFAULT, f"fault.webhook_{self.code}", **self.values)


def check_url(url: str, reach: Reach) -> httpx.URL:
    """Return an address that could be told; raise Forbidden with what is wrong with it."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise Forbidden("no_address") from None
    schemes = ("https", "http") if reach.is_local else ("https",)
    if parsed.scheme not in schemes or not parsed.host:
        raise Forbidden("no_address")
    if parsed.userinfo or parsed.fragment:
        raise Forbidden("has_password")
    try:
        host = ip_address(parsed.host)
    except ValueError:
        if not _NAME.fullmatch(parsed.raw_host):
            raise Forbidden("no_address") from None
        return parsed
    if not is_allowed(host, reach):
        raise Forbidden("not_public", host=parsed.host, address=str(host))
    return parsed


def is_allowed(address: IPv4Address | IPv6Address, reach: Reach) -> bool:
    """Return whether an address is public, or the operator lets messages go anywhere."""
    if reach.is_local:
        return True
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour or _behind_nat64(address)
        if inside is not None:
            return is_allowed(inside, reach)
    return address.is_global and not address.is_multicast and not address.is_reserved


def signature(secret: str, message: Message, at_s: int) -> str:
    """Return the value of ``webhook-signature``."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message.id}.{at_s}.".encode() + message.body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


async def deliver(
    http: httpx.AsyncClient, url: str, secret: str, message: Message, reach: Reach
) -> Delivery:
    """Send one message, and say what became of it; it never raises for what receivers do."""
    began = time.monotonic()
    status, error = 0, ""
    try:
        async with asyncio.timeout(reach.total_s):
            status, error = await _post(http, url, secret, message, reach)
    except Forbidden as no:
        error = str(no)
    except TimeoutError:
        error = f"no answer within {reach.total_s:.0f} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
        error = str(fault) or type(fault).__name__
    return Delivery(status, error[:ERROR_CHARS_MAX], int((time.monotonic() - began) * 1000))


def client(reach: Reach) -> httpx.AsyncClient:
    """Return what messages are sent with: no proxy, and no connection that is used twice."""
    return httpx.AsyncClient(
        verify=reach.trust or True,
        trust_env=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        timeout=reach.timeout_s,
    )


async def _post(
    http: httpx.AsyncClient, url: str, secret: str, message: Message, reach: Reach
) -> tuple[int, str]:
    target = check_url(url, reach)
    at_s = int(time.time())
    headers = {
        "Host": target.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": "intertie-webhooks",
        "webhook-id": message.id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": signature(secret, message, at_s),
    }
    response = await _send(http, target, await _resolve(target, reach), message.body, headers)
    try:
        if response.is_success:
            return response.status_code, ""
        return response.status_code, f"HTTP {response.status_code} {await _begin_of(response)}"
    finally:
        await response.aclose()
        http.cookies.clear()


async def _send(
    http: httpx.AsyncClient,
    target: httpx.URL,
    addresses: list[str],
    body: bytes,
    headers: dict[str, str],
) -> httpx.Response:
    """Post to the first address that takes a connection; TLS still asks for the host's name."""
    for at, address in enumerate(addresses, 1):
        request = http.build_request(
            "POST",
            target.copy_with(host=address),
            content=body,
            headers=headers,
            extensions={"sni_hostname": target.host},
        )
        try:
            return await http.send(request, stream=True, follow_redirects=False)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if at == len(addresses):
                raise
    raise AssertionError("a name without addresses is an error before")


async def _resolve(target: httpx.URL, reach: Reach) -> list[str]:
    """Return the addresses of the host; every one must be one that may be reached."""
    port = target.port or (443 if target.scheme == "https" else 80)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(target.host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Forbidden("unknown_host", host=target.host) from None
    addresses = list(dict.fromkeys(ip_address(str(each[4][0]).split("%")[0]) for each in found))
    for address in addresses:
        if not is_allowed(address, reach):
            raise Forbidden("not_public", host=target.host, address=str(address))
    return [str(address) for address in addresses]


async def _begin_of(response: httpx.Response) -> str:
    """Return how an answer begins, on one line."""
    read = b""
    async for chunk in response.aiter_bytes():
        read += chunk
        if len(read) >= _ANSWER_BYTES_MAX:
            break
    return " ".join(read[:_ANSWER_BYTES_MAX].decode("utf-8", "replace").split())


def _behind_nat64(address: IPv6Address) -> IPv4Address | None:
    is_inside = address.packed[:12] == IPv6Address(_NAT64).packed[:12]
    return IPv4Address(address.packed[12:]) if is_inside else None
