"""Providers that refuse what the real ones refuse. Level 5; needs the official SDKs, which only the tests have.

A twin judges a request by its provider's official SDK (the types of its parameters, unknown fields refused) and by a table of
dated rules, each with its source, and answers with the real error body. What it accepts it answers in the provider's shape.
"""

from switchgear.testing.twins.verdict import Refusal, judge, judge_at

__all__ = ["Refusal", "judge", "judge_at"]
