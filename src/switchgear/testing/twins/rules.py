"""What the makers of the dialects refuse beside wrong types: the table of their rules. Level 5, pure.

A rule names its source and the day it was read. What keeps the rules honest in one direction are recorded exchanges: no rule
refuses what a real provider took. That each is refused for real is said by its source alone.
"""

from switchgear.testing.twins import anthropic_rules as anthropic
from switchgear.testing.twins import bedrock_rules as bedrock
from switchgear.testing.twins import cohere_rules as cohere
from switchgear.testing.twins import gemini_rules as gemini
from switchgear.testing.twins import openai_rules as openai
from switchgear.testing.twins.finding import Rule

RULES: dict[str, tuple[Rule, ...]] = {
    "openai": (
        openai.openai_messages,
        openai.openai_tool_names,
        openai.openai_tool_count,
        openai.openai_tool_choice,
        openai.openai_tool_schemas,
        openai.openai_answer_schema,
        openai.openai_tool_order,
        openai.openai_call_ids,
        openai.openai_endpoint,
        openai.openai_sampling,
        openai.openai_metadata,
        openai.openai_json_mode,
    ),
    "responses": (
        openai.responses_items,
        openai.responses_answered,
        openai.openai_tool_schemas,
        openai.openai_answer_schema,
        openai.responses_sampling,
        openai.responses_json_mode,
        openai.metadata_size,
    ),
    "anthropic": (
        anthropic.anthropic_messages,
        anthropic.anthropic_text,
        anthropic.anthropic_tools,
        anthropic.anthropic_tool_order,
        anthropic.anthropic_call_ids,
        anthropic.anthropic_media,
        anthropic.anthropic_marks,
        anthropic.anthropic_prefill,
        anthropic.anthropic_sampling,
        anthropic.anthropic_output_schema,
    ),
    "gemini": (
        gemini.gemini_contents,
        gemini.gemini_call_order,
        gemini.gemini_tools,
        gemini.gemini_sampling,
        gemini.gemini_thinking,
        gemini.gemini_signatures,
    ),
    "bedrock": (
        bedrock.bedrock_messages,
        bedrock.bedrock_tools,
        bedrock.bedrock_call_order,
        bedrock.bedrock_documents,
        bedrock.bedrock_claude,
    ),
    "cohere": (cohere.cohere_messages, cohere.cohere_call_order, cohere.cohere_sampling),
}
COMPATIBLE: dict[str, tuple[Rule, ...]] = RULES | {
    "openai": (openai.openai_messages, openai.openai_tool_names, openai.openai_tool_order),
    "responses": (openai.responses_items,),
}
"""What every server of a dialect refuses, whoever runs it."""
