"""Proving the claims of a certificate again, from the graph alone."""

from pisnn_deploy.verify.checker import Finding, check_certificate

__all__ = ["Finding", "check_certificate"]
