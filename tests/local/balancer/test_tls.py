"""Targets that end TLS themselves: nobody verifies their certificate."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.local.balancer.harness import ModelServer, Site, deployed, group


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate of its own making, for another name and long expired."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere.example.com")])
    end = datetime.now(UTC) - timedelta(days=1)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), end - timedelta(days=1), end
    ).sign(key, hashes.SHA256())
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


def test_a_target_behind_tls_is_healthy_and_answers_whatever_its_certificate_says(site: Site, tmp_path: Path) -> None:
    server = site.loop.run(ModelServer("a", self_signed(tmp_path)).start())
    site.serve(deployed(groups=(group("a"),)), server)
    try:
        assert server.url.startswith("https://")
        assert site.ask("GET /x").seen["line"] == "GET /x HTTP/1.1"
        (target,) = site.balancer.serving.groups["arn:a"].targets
        assert (target.state, site.changes) == ("healthy", [])
    finally:
        site.loop.run(server.stop())
