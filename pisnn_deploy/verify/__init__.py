"""Proving the claims of a certificate again, from the graph alone."""

from pisnn_deploy.verify.checker import NOT_PROVED, Finding, check_certificate

__all__ = ["NOT_PROVED", "Finding", "check_certificate"]
