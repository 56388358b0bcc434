"""One authority for everything in the control plane, and what it signs: servers, clients, kubeconfigs.

Kueue keeps a certificate that it finds only if the authority is called kueue-ca, all of it lives long, and its keys
are RSA in PKCS#1.
"""

import base64
import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY = "kueue-ca"
LIFETIME = datetime.timedelta(days=365)
USAGES = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """The authority whose files are in a folder, and every pair it signed beside them."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """Return what everybody trusts."""
        return self.folder / "ca.crt"

    @property
    def bundle(self) -> str:
        """Return it as webhook configurations take it."""
        return _base64(self.certificate)

    def create(self) -> None:
        """Make the authority."""
        self.folder.mkdir(parents=True, exist_ok=True)
        key = _key()
        name = x509.Name([_attribute(NameOID.COMMON_NAME, AUTHORITY)])
        builder = (
            _builder(name, name, key, [x509.DNSName(AUTHORITY)])
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
        )
        _write(self.folder / "ca.key", _pem(key))
        _write(self.certificate, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def sign(self, file: str, user: str, groups: Sequence[str] = (), names: Sequence[str] = ()) -> Pair:
        """Make a pair for a user of groups, or for a server known by DNS names and addresses."""
        pair = Pair(self.folder / f"{file}.crt", self.folder / f"{file}.key")
        authority = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        signer = serialization.load_pem_private_key((self.folder / "ca.key").read_bytes(), None)
        assert isinstance(signer, rsa.RSAPrivateKey)
        key = _key()
        organizations = [_attribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*organizations, _attribute(NameOID.COMMON_NAME, user)])
        builder = (
            _builder(subject, authority.subject, key, [_general_name(name) for name in names])
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(USAGES, critical=False)
        )
        _write(pair.key, _pem(key))
        _write(pair.certificate, builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return pair

    def kubeconfig(self, path: Path, server: str, user: str, groups: Sequence[str] = ()) -> Path:
        """Write a kubeconfig that holds all it needs, for a user of groups."""
        pair = self.sign(path.stem, user, groups)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority-data": self.bundle}}],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(pair.certificate),
                        "client-key-data": _base64(pair.key),
                    },
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        _write(path, yaml.safe_dump(config, sort_keys=False).encode())
        return path


def _builder(
    subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, names: list[x509.GeneralName]
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=False) if names else builder


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _attribute(kind: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(kind, value)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_bytes(content)
    temporary.rename(path)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
