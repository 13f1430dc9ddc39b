"""Whom to believe over TLS: one certificate by its fingerprint, or whom this system trusts."""

import re
import ssl
from functools import cache
from hashlib import sha256
from typing import ClassVar

PATTERN = re.compile(r"sha256:[0-9a-f]{64}")


class WrongCertificate(ssl.SSLCertVerificationError):
    """The other side has another certificate than the one that was pinned."""


def fingerprint_of(certificate: bytes) -> str:
    """Return the fingerprint of a certificate in DER: ``sha256:`` and 64 digits."""
    return f"sha256:{sha256(certificate).hexdigest()}"


@cache
def trust(fingerprint: str = "") -> ssl.SSLContext:
    """Return what believes the certificate of that fingerprint only, whatever name it has.

    Without a fingerprint it believes the authorities that this system trusts.
    """
    context = ssl.create_default_context()
    if fingerprint:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint stands for every other check
        pinned = {"fingerprint": fingerprint}
        context.sslsocket_class = type("PinnedSocket", (_PinnedSocket,), pinned)
        context.sslobject_class = type("PinnedObject", (_PinnedObject,), pinned)
    return context


def split_address(address: str) -> tuple[str, str]:
    """Return the URL and the fingerprint (or nothing) of ``https://host:port#sha256:…``.

    ValueError says how an address is written.
    """
    url, mark, fingerprint = address.strip().partition("#")
    if mark and not (PATTERN.fullmatch(fingerprint) and url.startswith("https://")):
        raise ValueError("write https://host:port#sha256: and 64 hexadecimal digits")
    return url.rstrip("/").removesuffix("/v1"), fingerprint


def join_line(url: str, token: str, fingerprint: str) -> str:
    """Return the one command with which a machine joins; without a fingerprint where none is."""
    pin = f" --fingerprint {fingerprint}" if fingerprint else ""
    return f"intertie join {url} --token {token}{pin}"


def why_not_trusted(error: BaseException) -> str:
    """Return why a connection failed if that was its certificate, and what to do; else nothing."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, WrongCertificate):
            return str(seen.args[-1])
        if isinstance(seen, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not trusted here ({seen.verify_message}): "
                "give the fingerprint that its operator shows, sha256:…"
            )
        seen = seen.__cause__ or seen.__context__
    return ""


class _PinnedSocket(ssl.SSLSocket):
    """A connection that is closed before a byte is said to anyone but the pinned one."""

    fingerprint: ClassVar[str]

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _check(self.getpeercert(binary_form=True), self.fingerprint)


class _PinnedObject(ssl.SSLObject):
    """The same for connections that asyncio makes."""

    fingerprint: ClassVar[str]

    def do_handshake(self) -> None:
        super().do_handshake()
        _check(self.getpeercert(binary_form=True), self.fingerprint)


def _check(certificate: bytes | None, fingerprint: str) -> None:
    found = fingerprint_of(certificate or b"")
    if found != fingerprint:
        raise WrongCertificate(
            1,
            f"its certificate is {found}, not {fingerprint}, which is pinned: if the network has "
            "a new one, take the new join line from its operator; else somebody is in between",
        )
