"""Independent verification of certificates, from the graph alone."""

from pisnn_deploy.verify.checker import NOT_PROVED, Finding, check_certificate

__all__ = ["NOT_PROVED", "Finding", "check_certificate"]
