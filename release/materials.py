"""Bill of materials of a release, in CycloneDX: what its extras install at the pinned versions."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.requirements import Requirement

NAME = "pisnn-deploy"
EXTRAS = ("all",)
"""Extras whose requirements are listed; those for development are not part of a release."""
_LONGEST_LICENCE = 80


def canonical(name: str) -> str:
    """Name of a distribution as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(name: str, extras: frozenset[str] = frozenset()) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the distributions that one needs on this Python, with their extras."""
    for text in importlib.metadata.requires(name) or ():
        needed = Requirement(text)
        if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonical(needed.name), frozenset(needed.extras)


def closure() -> dict[str, set[str]]:
    """Distributions that a release needs here, and what each of them needs, by name."""
    needs: dict[str, set[str]] = {}
    waiting, seen = [(NAME, frozenset(EXTRAS))], set[tuple[str, frozenset[str]]]()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        direct = list(requirements(name, extras))
        needs.setdefault(name, set()).update(other for other, _ in direct if other != name)
        waiting += direct
    return needs


def bill(distributions: Sequence[Path], epoch: int) -> str:
    """Return the bill of materials as JSON; the same for the same distributions and versions.

    Parameters
    ----------
    distributions : sequence of Path
        Wheel and source distribution; their SHA-256 are properties of the release.
    epoch : int
        Time of the bill, in seconds since 1970.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        Something that a release needs is not installed.
    """
    needs = closure()
    components = {name: _component(name) for name in sorted(needs)}
    release = components.pop(NAME)
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in distributions}
    for name, digest in sorted(digests.items()):
        release.properties.add(Property(name=f"sha256:{name}", value=digest))
        if name.endswith(".whl"):
            release.hashes.add(HashType(alg=HashAlgorithm.SHA_256, content=digest))
    bom = Bom(components=components.values(), serial_number=uuid.uuid5(uuid.NAMESPACE_URL, " ".join(digests.values())))
    bom.metadata.component = release
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, timezone.utc)
    for name, others in needs.items():
        component = release if name == NAME else components[name]
        bom.register_dependency(component, [components[other] for other in sorted(others - {NAME})])
    text: str = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)
    return text + "\n"


def _component(name: str) -> Component:
    metadata = importlib.metadata.metadata(name).json
    version, licence = (
        str(metadata["version"]),
        str(metadata.get("license_expression") or metadata.get("license") or ""),
    )
    is_short = licence and len(licence) <= _LONGEST_LICENCE and "\n" not in licence
    return Component(
        name=name,
        version=version,
        type=ComponentType.APPLICATION if name == NAME else ComponentType.LIBRARY,
        bom_ref=f"{name}=={version}",
        purl=PackageURL("pypi", None, name, version),
        description=str(metadata.get("summary") or ""),
        licenses=[DisjunctiveLicense(name=licence)] if is_short else None,
    )
