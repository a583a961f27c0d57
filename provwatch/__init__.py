"""Workflow runs in, Quilt packages out: once per change, with their provenance."""

__version__ = "0.1.0"
