"""Detectors for discovery: keys, services, packages, names of providers, log lines. Level 1: bytes in, findings out."""
