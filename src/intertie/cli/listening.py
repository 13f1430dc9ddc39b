"""Where a door listens and with which certificate, from what a command was told."""

from __future__ import annotations

import ipaddress
import json
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from intertie.api.certificates import Certificate
    from intertie.cli.session import Session

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")

HostOption = Annotated[str, typer.Option("--host", help="cli.option.host", metavar="ADDRESS")]
TlsOption = Annotated[bool, typer.Option("--tls", help="cli.option.tls")]
ChainOption = Annotated[
    Path | None, typer.Option("--tls-cert", help="cli.option.tls_cert", metavar="FILE")
]
KeyOption = Annotated[
    Path | None, typer.Option("--tls-key", help="cli.option.tls_key", metavar="FILE")
]
InsecureOption = Annotated[bool, typer.Option("--insecure", help="cli.option.insecure")]


@dataclass(frozen=True)
class Listening:
    """Where a door listens. Told to end, it says for `notice_s` that it is not ready any more.

    It speaks TLS where it has a certificate; `chain` and `key` are PEM files.
    """

    port: int
    host: str = LOOPBACK
    has_console: bool = True
    notice_s: float = 0
    chain: str = ""
    key: str = ""

    @classmethod
    def parse(cls, text: str) -> Listening:
        """Return what `text` wrote; a plain number is a port of loopback."""
        told = json.loads(text)
        return cls(**told) if isinstance(told, dict) else cls(int(told))

    @property
    def text(self) -> str:
        return json.dumps(asdict(self))

    @property
    def certificate(self) -> Certificate | None:
        from intertie.api.certificates import Certificate

        return Certificate(Path(self.chain), Path(self.key)) if self.chain else None

    @property
    def fingerprint(self) -> str:
        """Return what to pin; empty without TLS."""
        return self.certificate.fingerprint() if self.certificate else ""

    @property
    def own_url(self) -> str:
        """Return where this machine reaches the door."""
        return self._url(LOOPBACK if self.host in EVERYWHERE else self.host)

    @property
    def own_address(self) -> str:
        """Return the same with the pinned fingerprint, as the SDK takes it."""
        return "#".join(part for part in (self.own_url, self.fingerprint) if part)

    @property
    def url(self) -> str:
        """Return where other machines reach the door, as far as this one knows."""
        return self._url(socket.gethostname() if self.host in EVERYWHERE else self.host)

    def _url(self, host: str) -> str:
        scheme = "https" if self.chain else "http"
        name = f"[{host}]" if ":" in host else host
        return f"{scheme}://{name}:{self.port}"


@dataclass(frozen=True)
class Tls:
    """What a command was told of TLS."""

    is_self_signed: bool = False
    chain: Path | None = None
    key: Path | None = None
    is_insecure: bool = False

    def files(self, session: Session, data: Path, host: str) -> tuple[str, str]:
        """Return the PEM files, or none; raise BadInput that names the option and the fix."""
        from intertie.api.certificates import Certificate, self_signed

        if (self.chain is None) != (self.key is None):
            raise _wrong(session.text("cli.tls.both"))
        if self.chain is None or self.key is None:
            if not self.is_self_signed and not self.is_insecure and not _is_loopback(host):
                raise _wrong(session.text("cli.tls.needed", host=host))
            made = self_signed(data, host) if self.is_self_signed else None
            return (str(made.chain), str(made.key)) if made else ("", "")
        try:
            Certificate(self.chain, self.key).fingerprint()
            self.key.read_bytes()
        except (OSError, ValueError) as error:
            raise _wrong(session.text("cli.tls.unreadable", reason=error)) from None
        return str(self.chain.absolute()), str(self.key.absolute())


def tell_join(
    session: Session, key: str, url: str, token: str, fingerprint: str, **values: str
) -> None:
    """Say a sentence and the join line, which no wrapping may break; nothing as JSON."""
    if not session.as_json:
        from intertie.client.pinning import join_line

        line = join_line(url, token, fingerprint)
        session.say(key, **values)
        session.out.print(line, markup=False, highlight=False, soft_wrap=True)


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _wrong(detail: str) -> Exception:
    from intertie.client import BadInput
    from intertie.client.errors import problem_of

    return BadInput(problem_of("bad_option", "", detail))
