"""Scheduler and workers that serve no HTTP; imported only where a local cluster starts, and in its workers."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from distributed import Scheduler, Worker
from distributed.http.routing import RoutingApplication
from tornado.httpserver import HTTPServer

from pisnn_deploy.core.printable import printable
from pisnn_deploy.core.surroundings import shut_out_current_folder

SILENT = logging.CRITICAL + 1
LOGGERS = (
    "distributed",
    "distributed.client",
    "distributed.gc",
    "distributed.worker",
    "tornado",
    "tornado.application",
)


def silence() -> None:
    """Have Dask print nothing: what becomes of cases and domains is told by those who asked for them."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(SILENT)


def _warning(message: Warning | str, *rest: Any, **named: Any) -> str:
    return f"warning: {printable(message)}\n"


class _WithoutHttp:
    """Without the server of pages and metrics, which would answer anyone on this machine."""

    def start_http_server(
        self, routes: Any, dashboard_address: Any, default_port: int = 0, ssl_options: Any = None
    ) -> None:
        self.http_application = RoutingApplication(routes)  # type: ignore[no-untyped-call]
        self.http_server = HTTPServer(self.http_application)  # it listens nowhere


class LocalScheduler(_WithoutHttp, Scheduler):
    """A scheduler in this process."""


class LocalWorker(_WithoutHttp, Worker):
    """A worker in a process of its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        shut_out_current_folder()
        silence()
        warnings.formatwarning = _warning
        super().__init__(*arguments, **options)
