"""The certificate of a door: the operator's own, or one that it signs itself and agents pin."""

import ipaddress
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from intertie.client.pinning import fingerprint_of

VALID_DAYS = 3650  # it is pinned: its date is not what makes it believed


@dataclass(frozen=True)
class Certificate:
    """Two PEM files: the chain, the door's own certificate first, and its key."""

    chain: Path
    key: Path

    def fingerprint(self) -> str:
        """Return what agents pin; ValueError if the file holds no certificate."""
        first = x509.load_pem_x509_certificates(self.chain.read_bytes())[0]
        return fingerprint_of(first.public_bytes(Encoding.DER))


def self_signed(data: Path, host: str) -> Certificate:
    """Return the certificate in a data folder, made at the first call; only its owner reads it."""
    folder = data / "tls"
    found = Certificate(folder / "certificate.pem", folder / "key.pem")
    if not found.chain.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(found.key, secret)
        _write(found.chain, _signed(key, host).public_bytes(Encoding.PEM))
    return found


def _signed(key: ec.EllipticCurvePrivateKey, host: str) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Intertie")])
    now = datetime.now(UTC)
    own = dict.fromkeys(("localhost", "127.0.0.1", "::1", socket.gethostname(), host))
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName([_named(each) for each in own]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, SHA256())
    )


def _named(host: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(host))
    return x509.DNSName(host)


def _write(path: Path, content: bytes) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    made = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(made, "wb") as file:
        file.write(content)
    new.replace(path)
