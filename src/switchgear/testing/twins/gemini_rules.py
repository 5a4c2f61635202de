"""What Gemini refuses beside wrong types. Level 5, pure.

Sources were read on 2026-11-27; what an error report gives is its text. "SDK" is google-genai for Python, 3.4.
"""

import re
from typing import Any

from switchgear.testing.twins.finding import Finding, first_twice, items, schemas_in, turns

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,127}")
# The fields of the SDK's `Schema`, as it writes them (`types.Schema`).
_SCHEMA = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "maxItems",
        "minItems",
        "properties",
        "required",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "example",
        "anyOf",
        "propertyOrdering",
        "default",
        "items",
        "minimum",
        "maximum",
    }
)
# ai.google.dev/gemini-api/docs/thinking, "Thinking budgets", as its figures are repeated in model catalogues; 2.5 alone has budgets
_BUDGETS = {"gemini-2.5-flash-lite": (512, 24_576), "gemini-2.5-flash": (0, 24_576), "gemini-2.5-pro": (128, 32_768)}


def gemini_contents(body: dict[str, Any], model: str) -> Finding | None:
    """Contents with parts, roles user and model (error texts of generateContent)."""
    contents = items(body.get("contents"))
    if not contents:
        return Finding("gemini-contents", "* GenerateContentRequest.contents: contents is not specified")
    for index, content in enumerate(contents):
        if content.get("role") not in {None, "user", "model", "function"}:
            return Finding("gemini-contents", "Please use a valid role: user, model.")
        if not content.get("parts"):
            text = "must include at least one parts field"
            return Finding("gemini-contents", f"* GenerateContentRequest.contents[{index}].parts: {text}")
        for part in content["parts"]:
            if not set(part) - {"thought", "thoughtSignature", "videoMetadata", "partMetadata"}:
                text = "required oneof field 'data' must have one initialized field"
                return Finding("gemini-contents", f"* GenerateContentRequest.contents[{index}].parts[0].data: {text}")
    return None


def gemini_call_order(body: dict[str, Any], model: str) -> Finding | None:
    """Calls follow a user's turn or results, results follow calls, as many as there are, of their names and ids (error texts of
    generateContent, in gemini-cli's, litellm's and langchain's reports; guide "Function calling", "Parallel function calling": "map
    the results back by id")."""
    calls: list[dict[str, Any]] = []
    before = ""
    for _, parts in turns(items(body.get("contents")), lambda content: content["parts"]):
        results = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if results and len(results) != len(calls):
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call parts"
            )
            return Finding("gemini-call-order", f"{text} of the function call turn.")
        if sorted(str(one.get("name")) for one in results) != sorted(str(one.get("name")) for one in calls if results):
            return Finding("gemini-call-order", "Function response name does not match the name of the function call.")
        ids = {one["id"] for one in calls if one.get("id")}
        if results and ids and {one["id"] for one in results if one.get("id")} - ids:
            return Finding("gemini-call-order", "Function response id does not match the id of a function call.")
        if calls and not results:
            text = "Please ensure that function response turn comes immediately after a function call turn."
            return Finding("gemini-call-order", text)
        calls = [part["functionCall"] for part in parts if "functionCall" in part]
        if calls and before == "":
            text = "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
            return Finding("gemini-call-order", text)
        before = "results" if results else "calls" if calls else "text"
    return None


def gemini_tools(body: dict[str, Any], model: str) -> Finding | None:
    """Names (SDK, `FunctionDeclaration.name`: "Must start with a letter or an underscore. Must be a-z, A-Z, 0-9, or contain
    underscores, dots, colons and dashes, with a maximum length of 128"), each once ("Duplicate function declaration found", in
    promptfoo#10982's kind), and the OpenAPI subset of `parameters` (SDK, `Schema`)."""
    names: list[str] = []
    for tool in items(body.get("tools")):
        for declaration in items(tool.get("functionDeclarations")):
            name = declaration.get("name", "")
            names.append(name)
            if not _NAME.fullmatch(name):
                text = "Invalid function name. Must start with a letter or an underscore."
                return Finding(
                    "gemini-tool-name", f"* GenerateContentRequest.tools[0].function_declarations[0].name: {text}"
                )
            for schema in schemas_in(declaration.get("parameters")):
                finding = _schema(schema)
                if finding is not None:
                    return finding
    twice = first_twice(names)
    return Finding("gemini-tool-name", f"Duplicate function declaration found: {twice}") if twice is not None else None


_WORDS_OF_TYPES = {"properties": "object", "items": "array"}


def _schema(schema: dict[str, Any]) -> Finding | None:
    """Known words, each at the type that has it; enums of texts that are not empty (9router#380, opencode#46676 and #43495,
    kibana#286302, AntigravityManager#260, with the words)."""
    place = "* GenerateContentRequest.tools[0].function_declarations[0].parameters.properties[x]"
    unknown = set(schema) - _SCHEMA
    if unknown:
        text = f"Unknown name \"{min(unknown)}\" at 'tools[0].function_declarations[0].parameters'"
        return Finding("gemini-schema", f"Invalid JSON payload received. {text}: Cannot find field.")
    kind = str(schema.get("type", "")).lower()
    if "enum" in schema and kind != "string":
        return Finding("gemini-schema", f"{place}.enum: only allowed for STRING type")
    if any(not isinstance(value, str) for value in items(schema.get("enum"))):
        return Finding("gemini-schema", f"Invalid value at '{place}.enum[0]' (TYPE_STRING)")
    if "" in items(schema.get("enum")):
        return Finding("gemini-schema", f"{place}.enum[0]: cannot be empty")
    if schema.get("format") == "enum" and not schema.get("enum"):
        return Finding("gemini-schema", f"{place}.enum: should be non-empty for STRING type with enum format")
    if kind == "array" and not schema.get("items"):
        return Finding("gemini-schema", f"{place}.items: missing field.")
    for word, owner in _WORDS_OF_TYPES.items():
        if word in schema and kind != owner:
            return Finding("gemini-schema", f"{place}.{word}: only allowed for {owner.upper()} type")
    missing = set(items(schema.get("required"))) - set(schema.get("properties") or {})
    if missing:
        return Finding("gemini-schema", f"{place}.required[0]: property is not defined")
    return None


def gemini_sampling(body: dict[str, Any], model: str) -> Finding | None:
    """At most five stop sequences (SDK, `stop_sequences`; the API's reference: "up to 5"), temperature from 0 to 2, top_p to 1."""
    config = body.get("generationConfig") or {}
    if len(items(config.get("stopSequences"))) > 5:
        return Finding("gemini-sampling", "* GenerateContentRequest.generation_config.stop_sequences: at most 5")
    for key, most in (("temperature", 2), ("topP", 1)):
        if not 0 <= (config.get(key) or 0) <= most:
            return Finding(
                "gemini-sampling", f"* GenerateContentRequest.generation_config.{key}: out of range [0, {most}]"
            )
    return None


def gemini_thinking(body: dict[str, Any], model: str) -> Finding | None:
    """Budgets by model (ai.google.dev/gemini-api/docs/thinking), and not beside a level (error text)."""
    config = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    if "thinkingBudget" in config and "thinkingLevel" in config:
        return Finding("gemini-thinking", "You can only set only one of thinking budget and thinking level.")
    budget = config.get("thinkingBudget")
    bounds = next((value for name, value in _BUDGETS.items() if model.startswith(name)), None)
    if budget is not None and budget != -1 and bounds is not None and not bounds[0] <= budget <= bounds[1]:
        is_off = budget == 0 and bounds[0] != 128
        if not is_off:
            text = (
                f"The thinking budget {budget} is invalid. Please choose a value between {bounds[0]} and {bounds[1]}."
            )
            return Finding("gemini-thinking", text)
    return None


def gemini_signatures(body: dict[str, Any], model: str) -> Finding | None:
    """Gemini 3 wants the signature of the first call of each step of the current turn
    (ai.google.dev/gemini-api/docs/thought-signatures, "Function calling")."""
    if not model.startswith("gemini-3"):
        return None
    current: list[dict[str, Any]] = []
    for content in items(body.get("contents")):
        is_question = content.get("role") != "model" and any("text" in part for part in content.get("parts", []))
        current = [] if is_question else [*current, content]
    for content in current:
        calls = [part for part in content.get("parts", []) if "functionCall" in part]
        if calls and "thoughtSignature" not in calls[0]:
            text = f"Function call `{calls[0]['functionCall'].get('name')}` is missing a `thought_signature`."
            return Finding("gemini-signature", text)
    return None
