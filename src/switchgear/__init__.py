"""Switchgear, an AI gateway: applications hold virtual keys, provider credentials stay behind a second gate."""

__version__ = "0.1.0"
__released__ = "2026-11-28"
"""The day of the version: `doctor` tells its age, without asking anybody."""
