"""Sign artifacts, and check who signed them: DSSE envelopes with in-toto statements, ed25519, without network.

An envelope (https://github.com/secure-systems-lab/dsse, version 1.0.2) holds a payload, here an in-toto statement
(https://in-toto.io/Statement/v1) on the SHA-256 of the artifact, and signatures of its pre-authentication encoding.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pisnn_deploy.core.errors import CheckError, FileError, UsageError
from pisnn_deploy.core.optional import require
from pisnn_deploy.core.output import write_private, write_whole
from pisnn_deploy.core.reading import parse_plain_json, read_bytes
from pisnn_deploy.project.outputs import check_outputs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ENDING = ".dsse.json"
"""Ending of an envelope, after the whole name of its artifact."""
PUBLIC = ".pub"
"""Ending of a public key, after the whole name of its private key."""
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:pisnn-deploy:signature:v1"
LARGEST_KEY, LARGEST_ENVELOPE = 1 << 14, 1 << 16
_DAY = "expected a day such as 2027-12-31"


@dataclass(frozen=True)
class Signature:
    """A signature that was checked.

    Attributes
    ----------
    keyid : str
        SHA-256 of the raw public key, in hexadecimal.
    expires : date or None
        Last day on which it is valid, in UTC.
    """

    keyid: str
    expires: date | None


def keygen(path: Path) -> dict[str, str]:
    """Make a pair of keys: a private one that only its owner can read, and a public one beside it.

    Parameters
    ----------
    path : Path
        Of the private key, as PEM (PKCS #8); the public one has `PUBLIC` appended.

    Returns
    -------
    dict of str to str
        Paths of both, and the ``keyid``.

    Raises
    ------
    FileError
        One of them exists, or cannot be written.
    """
    require("keygen", "cryptography")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public_path = _with(path, PUBLIC)
    for file in (path, public_path):
        if os.path.lexists(file):
            raise FileError(file, "exists, and a key is never overwritten", remedy="choose another name")
    check_outputs([path, public_path])
    key = Ed25519PrivateKey.generate()
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    write_private(path, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    write_whole(public_path, key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    return {"private": str(path), "public": str(public_path), "keyid": keyid(key.public_key())}


def sign(artifact: Path, key: Path, output: Path | None = None, expires: str | None = None) -> dict[str, str | None]:
    """Sign an artifact.

    Parameters
    ----------
    key : Path
        Private key, from `keygen`.
    output : Path, optional
        Of the envelope (default: the artifact's name with `ENDING` appended).
    expires : str, optional
        Last day on which the signature is valid, in UTC, such as ``2027-12-31`` (default: for ever).

    Returns
    -------
    dict
        Path of the envelope, ``sha256`` of the artifact, ``keyid`` and ``expires``.

    Raises
    ------
    UsageError
        A file cannot be read or written, or the day is none.
    """
    require("sign", "cryptography")
    day = None if expires is None else _day(expires)
    path = output or _with(artifact, ENDING)
    check_outputs([path], [artifact, key])
    private = _private_key(key)
    digest = _digest(artifact)
    payload = _canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": artifact.name, "digest": {"sha256": digest}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {"expires": None if day is None else day.isoformat()},
        }
    )
    name = keyid(private.public_key())
    signature = private.sign(encoded(PAYLOAD_TYPE, payload))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": name, "sig": base64.b64encode(signature).decode()}],
    }
    write_whole(path, _canonical(envelope) + b"\n")
    return {"file": str(path), "sha256": digest, "keyid": name, "expires": None if day is None else day.isoformat()}


def signed_by(
    artifact: Path, digest: str, key: Path, envelope: Path | None = None, today: date | None = None
) -> Signature:
    """Check that the owner of a key signed an artifact.

    Parameters
    ----------
    digest : str
        SHA-256 of the bytes that were read, in hexadecimal.
    key : Path
        Public key.
    envelope : Path, optional
        Default: the artifact's name with `ENDING` appended.
    today : date, optional
        Day to compare with the last one of the signature (default: today in UTC).

    Raises
    ------
    CheckError
        There is no envelope, or none of its signatures is this key's; the artifact is another one; or it has expired.
    UsageError
        A file cannot be read.
    """
    require("verify", "cryptography")
    from cryptography.exceptions import InvalidSignature

    public, path = _public_key(key), envelope or _with(artifact, ENDING)
    if not path.exists():
        raise CheckError(f"{artifact}: is not signed: there is no {path}")
    content = _envelope(path)
    for signature in content["signatures"]:
        try:
            public.verify(_decoded(path, signature["sig"]), encoded(PAYLOAD_TYPE, content["payload"]))
            break
        except InvalidSignature:
            continue
    else:
        raise CheckError(f"{path}: has no signature by the key {key}")
    statement = _statement(path, content["payload"])
    if statement["digest"] != digest:
        raise CheckError(
            f"{artifact}: is not what was signed: its SHA-256 is {digest[:16]}..., signed was "
            f"{statement['digest'][:16]}..."
        )
    day = None if statement["expires"] is None else _day_in(path, statement["expires"])
    if day is not None and (today or datetime.now(timezone.utc).date()) > day:
        raise CheckError(f"{path}: the signature expired on {day.isoformat()}")
    return Signature(keyid(public), day)


def encoded(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def keyid(key: Ed25519PublicKey) -> str:
    """Name of a key: SHA-256 of its 32 bytes."""
    return sha256(key.public_bytes_raw()).hexdigest()


def _with(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")


def _digest(artifact: Path) -> str:
    try:
        with artifact.open("rb") as stream:
            digest = sha256()
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise FileError(artifact, f"cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"`expires` {text!r}: {_DAY}") from error


def _day_in(path: Path, text: object) -> date:
    try:
        return date.fromisoformat(str(text))
    except ValueError as error:
        raise FileError(path, _DAY, field="predicate.expires") from error


def _private_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(read_bytes(path, LARGEST_KEY), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: encrypted
        raise FileError(path, "is no private key in PEM without a password", remedy="make one with keygen") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FileError(path, "is no ed25519 key", remedy="make one with keygen")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(read_bytes(path, LARGEST_KEY))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FileError(path, "is no public key in PEM", remedy=f"keygen writes one that ends in {PUBLIC}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise FileError(path, "is no ed25519 key", remedy="make one with keygen")
    return key


def _envelope(path: Path) -> dict[str, Any]:
    content = _object(path, read_bytes(path, LARGEST_ENVELOPE), "")
    signatures = content.get("signatures")
    if content.get("payloadType") != PAYLOAD_TYPE:
        raise FileError(path, f"must be {PAYLOAD_TYPE}", field="payloadType")
    if not isinstance(signatures, list) or not all(isinstance(s, dict) and "sig" in s for s in signatures):
        raise FileError(path, "must be a list of objects with a sig", field="signatures")
    return {"payload": _decoded(path, content.get("payload")), "signatures": signatures}


def _decoded(path: Path, text: object) -> bytes:
    try:
        return base64.b64decode(str(text).encode("ascii"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise FileError(path, "is no envelope: a part of it is not base64") from error


def _object(path: Path, content: bytes, field: str) -> dict[str, Any]:
    try:
        parsed = parse_plain_json(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileError(path, "is no plain JSON", field=field) from error
    if not isinstance(parsed, dict):
        raise FileError(path, "must be an object", field=field)
    return parsed


def _statement(path: Path, payload: bytes) -> dict[str, Any]:
    """Digest and last day of a statement whose signature holds."""
    content = _object(path, payload, "payload")
    for field, expected in (("_type", STATEMENT_TYPE), ("predicateType", PREDICATE_TYPE)):
        if content.get(field) != expected:
            raise FileError(path, f"must be {expected}", field=field)
    try:
        (subject,) = content["subject"]
        return {"digest": str(subject["digest"]["sha256"]), "expires": content["predicate"]["expires"]}
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(path, "must name one artifact by its sha256, and a day or null", field="payload") from error
