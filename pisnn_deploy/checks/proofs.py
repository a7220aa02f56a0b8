"""Rules on the certificate: what must be proved before a graph goes onto hardware."""

from __future__ import annotations

from collections.abc import Iterator

from pisnn_deploy.checks.rule import GRAPH, Subject, Violation, rule


@rule("PD201", "certificate-present")
def certificate_present(subject: Subject) -> Iterator[Violation]:
    """The graph carries a certificate.

    Hardware shows no error when mass is lost; the proof must come before.

    Fix: compile the model with the standard pipeline, whose `prove` pass writes the certificate.
    """
    if subject.graph.certificate is None:
        yield Violation(GRAPH, "none", "present", "the graph has no certificate")


@rule("PD202", "conservation-proved")
def conservation_proved(subject: Subject) -> Iterator[Violation]:
    """The certificate proves conservation of mass.

    An assumption is not enough: conservation holds by construction, for any values, or it does not hold.

    Fix: look at the details of the claim with `pisnn-deploy verify`, and compile the model again.
    """
    certificate = subject.graph.certificate
    if certificate is not None and certificate.conservation.status != "proved":
        claim = certificate.conservation
        yield Violation(GRAPH, claim.status, "proved", f"conservation is not proved: {claim.details}")


@rule("PD203", "overflow-bounded")
def overflow_bounded(subject: Subject) -> Iterator[Violation]:
    """The certificate bounds every state and payload, at least within the operating range.

    The rules on widths rest on these bounds.

    Fix: give the model an operating range with a slope, and compile it again.
    """
    certificate = subject.graph.certificate
    if certificate is not None and certificate.overflow.status == "none":
        claim = certificate.overflow
        yield Violation(GRAPH, "none", "assumed", f"states and payloads are not bounded: {claim.details}")
