"""Domains of a divided run without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pisnn_deploy.runs.domains.cut import Domain
from pisnn_deploy.runs.domains.worker import DomainWorker


class LocalWorkers:
    """All domains in this process, one after another."""

    def __init__(self, domains: Sequence[Domain], steps: int, halo: int) -> None:
        self._workers = [DomainWorker(domain, steps, halo) for domain in domains]

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call a method on every domain."""
        return [getattr(worker, method)(*given) for worker, given in zip(self._workers, arguments, strict=True)]
