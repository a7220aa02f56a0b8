"""Scheduler and workers without HTTP servers; imported only for local clusters and in their workers."""

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
    """Silence Dask's logging; callers report the results of cases and domains."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(SILENT)


def _warning(message: Warning | str, *rest: Any, **named: Any) -> str:
    return f"warning: {printable(message)}\n"


class _WithoutHttp:
    """Replaces the HTTP server of pages and metrics, which any user of this machine could reach."""

    def start_http_server(
        self, routes: Any, dashboard_address: Any, default_port: int = 0, ssl_options: Any = None
    ) -> None:
        self.http_application = RoutingApplication(routes)  # type: ignore[no-untyped-call]
        self.http_server = HTTPServer(self.http_application)  # without a port


class LocalScheduler(_WithoutHttp, Scheduler):
    """Scheduler in this process."""


class LocalWorker(_WithoutHttp, Worker):
    """Worker in a separate process."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        shut_out_current_folder()
        silence()
        warnings.formatwarning = _warning
        super().__init__(*arguments, **options)
