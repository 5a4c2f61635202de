"""Looks for AI tools that run outside the gateway: machines, hosts, folders, logs. Level 5; `detect` judges what it reads."""
