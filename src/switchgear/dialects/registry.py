"""The dialects that are spoken. Level 1.

Adding one is a module that ends in a row, and its line here (docs/dialects.md).
"""

from switchgear.dialects import anthropic, bedrock, cohere, gemini, openai, responses
from switchgear.dialects.dialect import Dialect

DIALECTS: tuple[Dialect, ...] = (
    openai.ROW,
    responses.ROW,
    anthropic.ROW,
    gemini.ROW,
    bedrock.ROW,
    cohere.ROW,
)
"""The first is what a client is taken to speak that does not show it."""
DEFAULT = DIALECTS[0]
BY_NAME: dict[str, Dialect] = {row.name: row for row in DIALECTS}
