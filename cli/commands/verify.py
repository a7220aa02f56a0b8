"""``pisnn-deploy verify``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.text import Text

from pisnn_deploy.cli.console import print_json, print_table
from pisnn_deploy.cli.invariance import Table, require_table
from pisnn_deploy.cli.options import HELP, JSON, QUIET
from pisnn_deploy.core.errors import CheckError, UsageError
from pisnn_deploy.core.output import write_whole
from pisnn_deploy.graph import IntegerGraph
from pisnn_deploy.graph.artifact import read_artifact
from pisnn_deploy.project.signing import Signature, signed_by
from pisnn_deploy.verify import NOT_PROVED, Finding, check_certificate
from pisnn_deploy.verify.exactness import why_assumed
from pisnn_deploy.verify.kernel import PROVED
from pisnn_deploy.verify.kernel import check as check_alone
from pisnn_deploy.verify.plain_artifact import OLD, Refused
from pisnn_deploy.verify.standalone import standalone_checker


@click.command("verify", context_settings=HELP)
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--signed-by", "key", type=click.Path(path_type=Path), help="Public key that must have signed it.")
@click.option(
    "--signature", type=click.Path(path_type=Path), help="Envelope of the signature (default: ARTIFACT.dsse.json)."
)
@click.option("--checker", type=click.Path(path_type=Path), help="Also write the kernel as one Python file.")
@click.option("--invariance", is_flag=True, help="Also run it transformed, and compare every integer.")
@click.option("--steps", type=click.IntRange(1), help="PDE steps of these runs (default: up to 16).")
@click.option("--backends", help="Backends of these runs, separated by commas (default: all that are installed).")
@JSON
@QUIET
def command(
    artifact: Path,
    key: Path | None,
    signature: Path | None,
    checker: Path | None,
    invariance: bool,
    steps: int | None,
    backends: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Prove the certificate of ARTIFACT again, from the artifact alone.

    The kernel comes first: it reads the file with Python's standard library alone, and proves conservation and widths.
    --checker writes it as one file, which anyone can run beside an artifact. The checker proves the rest.

    The checker shares no code with the compiler's proofs. It rejects an artifact whose graph, arrays or claims were
    changed after it was issued, or whose integers no longer mean what it says in physical units. It lists what it
    cannot prove. Claims an artifact does not make, because no theorem covers its neurons, are listed as such and are
    not errors.

    With --invariance, the artifact then runs under all transformations that must not change an integer: other cores,
    domains, restarts, orientations of the mesh, units, numbers of cells, codings, backends and threads.

    \b
    Examples:
      pisnn-deploy verify heat.pisnn
      pisnn-deploy verify heat.pisnn --json
      pisnn-deploy verify heat.pisnn --signed-by team.key.pub
      pisnn-deploy verify heat.pisnn --checker checker.py && python checker.py heat.pisnn
      pisnn-deploy verify heat.pisnn --invariance --backends fast,torch
    """
    if signature is not None and key is None:
        raise UsageError("`signature`: needs `signed_by` KEY")
    table = require_table(invariance, steps, backends)
    read = read_artifact(artifact)
    signed = None if key is None else _signed(artifact, read.sha256, key, signature)
    kernel, left = _alone(artifact)
    findings = check_certificate(read.graph, read.altered)
    if checker is not None:
        write_whole(checker, standalone_checker().encode())
    certificate = read.graph.certificate
    status = {name: claim.status for name, claim in certificate.claims.items()} if certificate else {}
    assumed = {finding.claim: _why_assumed(read.graph, finding) for finding in findings}
    status |= {claim: "assumed" for claim, why in assumed.items() if why}
    rejected = [finding for finding in (*findings, kernel) if not finding.holds]
    rows = table.rows(read.graph) if table is not None and not rejected else ()
    if as_json:
        print_json(
            {
                "artifact": str(artifact),
                "sha256": read.sha256,
                "verified": not rejected and not isinstance(signed, CheckError) and not Table.difference(rows),
                "kernel": {"accepted": kernel.holds, "text": kernel.text, "not_proved": left},
                "findings": [
                    vars(finding) | {"status": status.get(finding.claim), "assumed": assumed[finding.claim]}
                    for finding in findings
                ],
                "not_proved": NOT_PROVED,
                "signature": _plain(signed),
                "invariance": None if table is None else [vars(row) for row in rows],
            }
        )
    elif not quiet:
        claims = [
            (
                finding.claim,
                _shown_status(finding, status.get(finding.claim, "holds")),
                "; ".join(filter(None, (finding.text, assumed.get(finding.claim)))),
            )
            for finding in (kernel, *findings)
        ]
        print_table(f"{artifact}", claims, ("claim", "status", "what was proved again"))
        if isinstance(signed, Signature):
            until = "" if signed.expires is None else f", valid until {signed.expires.isoformat()}"
            print_table("signature", [("key", f"{signed.keyid}{until}")])
        print_table("left to the checker by the kernel", [(sentence,) for sentence in left])
        print_table("not proved", [(sentence,) for sentence in NOT_PROVED])
        Table.show(rows)
    if rejected:
        raise CheckError(f"{artifact}: {rejected[0].claim} is rejected: {rejected[0].text}")
    if isinstance(signed, CheckError):
        raise signed
    if difference := Table.difference(rows):
        raise CheckError(f"{artifact}: {difference.transformation}: {difference.detail}")


def _why_assumed(graph: IntegerGraph, finding: Finding) -> str:
    """Why a claim that holds is no exact proof; empty if it is."""
    return why_assumed(graph, finding.claim) if finding.holds else ""


def _alone(artifact: Path) -> tuple[Finding, list[str]]:
    """What the kernel says of a file, and what it leaves to the checker."""
    try:
        left: list[str] = check_alone(str(artifact))
    except Refused as refused:
        text, _ = refused.args
        if text == OLD:
            return Finding("kernel", True, f"not run: the file {text}", False), []
        return Finding("kernel", False, text), []
    return Finding("kernel", True, f"proved from the file alone: {PROVED}"), left


def _signed(artifact: Path, digest: str, key: Path, envelope: Path | None) -> Signature | CheckError:
    """The signature, or why it does not count; raised only after everything is printed."""
    try:
        return signed_by(artifact, digest, key, envelope)
    except CheckError as error:
        return error


def _plain(signed: Signature | CheckError | None) -> dict[str, str | None] | None:
    if signed is None:
        return None
    if isinstance(signed, CheckError):
        return {"keyid": None, "expires": None, "problem": str(signed)}
    return {
        "keyid": signed.keyid,
        "expires": None if signed.expires is None else signed.expires.isoformat(),
        "problem": None,
    }


def _shown_status(finding: Finding, status: str) -> Text:
    if not finding.holds:
        return Text("REJECTED", "bold red")
    return Text(status, "green") if finding.is_claimed else Text("not claimed", "yellow")
