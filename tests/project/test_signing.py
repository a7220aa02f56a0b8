"""Signatures: DSSE envelopes that only the right key, the same bytes and a day in time make count."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from models_under_test import compiled

from pisnn_deploy.cli.main import group
from pisnn_deploy.core.errors import CheckError, FileError, UsageError
from pisnn_deploy.graph.artifact import write_artifact
from pisnn_deploy.project.signing import PAYLOAD_TYPE, encoded, keygen, sign, signed_by

DIGEST = sha256(b"content").hexdigest()


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A signed file, ``team.key`` and ``team.key.pub``."""
    path = tmp_path / "a.pisnn"
    path.write_bytes(b"content")
    keygen(tmp_path / "team.key")
    sign(path, tmp_path / "team.key", expires="2027-12-31")
    return path


def checked(path: Path, **others: Any) -> object:
    return signed_by(path, others.pop("digest", DIGEST), path.with_name(others.pop("key", "team.key.pub")), **others)


def test_a_signature_counts_until_its_last_day(signed: Path) -> None:
    for day in (date(2026, 1, 1), date(2027, 12, 31)):
        assert checked(signed, today=day).expires == date(2027, 12, 31)  # type: ignore[attr-defined]
    with pytest.raises(CheckError, match="the signature expired on 2027-12-31"):
        checked(signed, today=date(2028, 1, 1))


def test_the_same_key_and_file_give_the_same_bytes(signed: Path) -> None:
    sign(signed, signed.with_name("team.key"), signed.with_name("again.json"), "2027-12-31")
    assert signed.with_name("again.json").read_bytes() == signed.with_name("a.pisnn.dsse.json").read_bytes()


def test_another_key_other_bytes_and_no_envelope_are_one_line_each(signed: Path) -> None:
    keygen(signed.with_name("other.key"))
    with pytest.raises(CheckError, match=r"has no signature by the key .*other\.key\.pub$"):
        checked(signed, key="other.key.pub")
    with pytest.raises(CheckError, match="is not what was signed: its SHA-256 is 0000000000000000"):
        checked(signed, digest="0" * 64)
    signed.with_name("a.pisnn.dsse.json").unlink()
    with pytest.raises(CheckError, match=r"is not signed: there is no .*a\.pisnn\.dsse\.json$"):
        checked(signed)


def forged(envelope: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    return envelope | {"payload": base64.b64encode(json.dumps(statement).encode()).decode()}


def test_no_byte_of_an_envelope_can_be_changed(signed: Path) -> None:
    path = signed.with_name("a.pisnn.dsse.json")
    envelope = json.loads(path.read_text())
    for content in (
        forged(envelope, lambda statement: statement["predicate"].update(expires=None)),
        forged(envelope, lambda statement: statement["subject"][0]["digest"].update(sha256="0" * 64)),
        envelope | {"signatures": []},
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(CheckError, match="has no signature by the key"):
            checked(signed)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "is no plain JSON"),
        ("[]", "must be an object"),
        ("{}", "payloadType: must be application/vnd.in-toto"),
        (json.dumps({"payloadType": PAYLOAD_TYPE, "signatures": [3]}), "signatures: must be a list of objects"),
        (json.dumps({"payloadType": PAYLOAD_TYPE, "signatures": [], "payload": "ä"}), "a part of it is not base64"),
        ("[" * 5000, "is no plain JSON"),
    ],
)
def test_a_file_that_is_no_envelope_is_one_line(signed: Path, content: str, problem: str) -> None:
    signed.with_name("a.pisnn.dsse.json").write_text(content)
    with pytest.raises(FileError, match=problem):
        checked(signed)


@pytest.mark.parametrize(
    "statement",
    [
        b"[]",
        b"{}",
        b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"urn:pisnn-deploy:signature:v1","subject":[]}',
        b'{"_type":"https://in-toto.io/Statement/v1","predicateType":"urn:pisnn-deploy:signature:v1",'
        b'"subject":[{"digest":{"sha256":"0"}}],"predicate":3}',
    ],
)
def test_a_signed_statement_of_another_kind_is_refused(signed: Path, statement: bytes) -> None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any = load_pem_private_key(signed.with_name("team.key").read_bytes(), None)
    signature = base64.b64encode(key.sign(encoded(PAYLOAD_TYPE, statement))).decode()
    envelope = {"payload": base64.b64encode(statement).decode(), "payloadType": PAYLOAD_TYPE}
    content = json.dumps(envelope | {"signatures": [{"sig": signature}]})
    signed.with_name("a.pisnn.dsse.json").write_text(content)
    with pytest.raises(FileError):
        checked(signed)


def test_what_is_signed_is_the_encoding_of_dsse() -> None:
    """The example of the specification."""
    assert encoded("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_private_key_is_its_owners_and_is_never_overwritten(tmp_path: Path) -> None:
    key = tmp_path / "team.key"
    keygen(key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    for name in ("team.key", "team.key.pub"):
        before = (tmp_path / name).read_bytes()
        (tmp_path / "team.key").rename(tmp_path / "kept") if name.endswith(".pub") else None
        with pytest.raises(FileError, match=f"{name}: exists, and a key is never overwritten"):
            keygen(key)
        assert (tmp_path / name).read_bytes() == before
    (tmp_path / "link.key").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match="exists"):
        keygen(tmp_path / "link.key")


def test_wrong_keys_and_days_are_refused(signed: Path) -> None:
    key = signed.with_name("team.key")
    for name, problem in (("team.key.pub", "is no private key"), ("a.pisnn", "is no private key")):
        with pytest.raises(FileError, match=problem):
            sign(signed, signed.with_name(name))
    with pytest.raises(FileError, match="is no public key"):
        checked(signed, key="team.key")
    with pytest.raises(UsageError, match=r"`expires` '31\.12\.2027': expected a day such as"):
        sign(signed, key, expires="31.12.2027")
    with pytest.raises(FileError, match="would overwrite"):
        sign(signed, key, output=signed)


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_artifact(Path("a.pisnn"), compiled(), {})

    def call(*words: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(group, words)
        code = getattr(done.exception, "exit_code", done.exit_code)
        return code, done.stdout, str(done.exception or "")

    assert call("keygen", "team.key", "-q")[:2] == (0, "")
    assert call("sign", "a.pisnn", "--key", "team.key")[0] == 0
    code, out, _ = call("verify", "a.pisnn", "--signed-by", "team.key.pub", "--json")
    report = json.loads(out)
    assert code == 0 and report["verified"] and len(report["signature"]["keyid"]) == 64
    assert "team" not in json.dumps(report["signature"])
    content = Path("a.pisnn").read_bytes()
    write_artifact(Path("a.pisnn"), compiled(), {"another": "day"})
    assert Path("a.pisnn").read_bytes() != content
    code, out, problem = call("verify", "a.pisnn", "--signed-by", "team.key.pub", "--json")
    report = json.loads(out)
    assert code == 1 and not report["verified"] and "is not what was signed" in problem
    assert all(finding["holds"] for finding in report["findings"]) and report["signature"]["problem"] == problem
    assert call("verify", "a.pisnn", "--signature", "x")[0] == 2
    assert json.loads(call("verify", "a.pisnn", "--json")[1])["signature"] is None
