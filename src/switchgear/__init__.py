"""Switchgear, an AI gateway: applications hold virtual keys, provider credentials stay behind a second gate."""

__version__ = "0.1.0"
