"""A certificate authority and a server's certificate for the loopback, for tests of encrypted connections."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates(NamedTuple):
    """Files in PEM form: what clients trust, and what the server shows."""

    roots: Path
    chain: Path
    key: Path


def write_certificates(folder: Path) -> Certificates:
    """Makes both, valid from yesterday until tomorrow."""
    root_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests' authority")])
    own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    root = _sign(_builder(root_name, root_name, root_key), root_key, is_authority=True)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    builder = _builder(own_name, root_name, own_key).add_extension(x509.SubjectAlternativeName(names), critical=False)
    own = _sign(builder, root_key, is_authority=False)
    files = Certificates(folder / "roots.pem", folder / "chain.pem", folder / "key.pem")
    files.roots.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    files.chain.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        own_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


def _builder(subject, issuer, key) -> x509.CertificateBuilder:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
    )


def _sign(builder: x509.CertificateBuilder, key, is_authority: bool) -> x509.Certificate:
    constraints = x509.BasicConstraints(ca=is_authority, path_length=None)
    return builder.add_extension(constraints, critical=True).sign(key, hashes.SHA256())
