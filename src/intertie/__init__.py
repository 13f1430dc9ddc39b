"""Intertie, the open compute network: one job, from request to settlement."""

__version__ = "0.1.0"
