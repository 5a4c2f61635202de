"""A translated conversation made to fit what its provider refuses: rules as data, one pass each. Level 1, pure.

Decoders keep what the client said; encoders write what they are given. Between them stand these passes: no blank text, a
turn of the user, tools where the history calls some, names in the provider's alphabet, schemas in its keywords, media that
it reads, sampling parameters that the model takes. What is left out is named in `request.dropped`; names are mapped back in
answers. `switchgear.testing.twins` holds what providers refuse, with sources.
"""

import hashlib
import re
from typing import Any, Literal

import msgspec
from msgspec import Raw

from switchgear.core.errors import UNREADABLE
from switchgear.core.steps import Steps, Stepwise
from switchgear.dialects import canonical, media, reasoning, schemas, web_search
from switchgear.dialects.cache_marks import fit_marks
from switchgear.dialects.canonical import Media, Message, Request, Text
from switchgear.dialects.json_node import InvalidBodyError, Node, encode
from switchgear.dialects.model_facts import Facts
from switchgear.dialects.pairs import Ids, pair
from switchgear.providers.quirks import Quirks

CONTINUED = "(continued)"
"""What stands for a turn of the user where the conversation has none and the provider wants one."""
PAST_TOOL = "A tool of an earlier part of this conversation; it cannot be called now."
_HASH_CHARS = 8
PROPERTY_CHARS_MAX = 64


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a dialect's providers refuse. Defaults are those of a plain server that takes everything."""

    blank_is_white: bool = False
    """True where white space alone counts as blank text; empty text is left out everywhere."""
    user_turn: bool = False
    """True where there must be a turn of the user."""
    words_first: bool = False
    """True where a turn of the user that is no tool's result must stand somewhere."""
    user_first: bool = False
    """True where the first turn must be the user's."""
    past_tools: bool = False
    """True where a history with calls needs the tools declared."""
    instructions: bool = False
    """True where instructions may stand in the middle."""
    name_chars: str = "a-zA-Z0-9_-"
    name_chars_max: int = 64
    name_starts_with_letter: bool = False
    top_words: frozenset[str] = frozenset()
    """Keywords that a tool's schema may not have at its top."""
    output_words: frozenset[str] = frozenset()
    """Keywords that an answer's schema may not have anywhere."""
    images: frozenset[str] = frozenset()
    """Media types of images that are read; empty means any."""
    text_files: bool = False
    """True where a text file must be sent as text."""
    makers: frozenset[str] | None = None
    """Whose signed thinking goes back; None where the encoder decides."""
    call_ids: Ids = Ids(chars_max=256)
    """What a call's id may be."""
    efforts_are_words: bool = False
    """True where the provider is told an effort, one of those that its model knows."""
    property_chars: str = ""
    """The characters that names of a tool's properties may have, at its top; "" for any."""
    strict_needs_all: bool = False
    """True where a strict schema requires all its properties."""
    strict_refuses: frozenset[str] = frozenset()
    """Keywords that a strict tool's schema may not have."""
    user_max: int = 0
    """The longest name of a user; 0 for any."""
    shares: bool = False
    """True for the dialects that say `canonical.Request.shared` alike."""
    stop_max: int | None = None
    """The most stop sequences."""
    temperature_max: float | None = None
    bounds: dict[str, tuple[float, float]] = {}
    """The least and the most of further sampling parameters, by their names in `canonical.Request`."""
    json_word: Literal["", "anywhere", "turns"] = ""
    """Where the word "json" must stand for an answer in JSON without a schema: in instructions too, or in turns alone."""
    marks_max: int = 0
    """The most places that may be marked for the cache, those that last longer first; 0 where there are none to mark."""
    marks_all: bool = False
    """True where the whole prompt can be marked at once."""
    arguments_are_text: bool = False
    """True where a call's arguments travel as a text."""
    empty_result: str = ""
    """What a tool's result says that is empty, where it must say something."""
    error_results: bool = False
    """True where a tool's result says itself that it is an error; elsewhere its text must."""
    searches: bool = False
    """True where a search of the web is asked for alike (`web_search`), at providers that have one."""
    tool_schemas: bool = True
    """True where a tool's schema is completed to an object with properties."""
    google_signatures: bool = True
    """False where calls go back with Gemini's thought signatures to models of Google's only."""


COMBINATORS = frozenset({"anyOf", "oneOf", "allOf"})
BOUNDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "patternProperties",
        "propertyNames",
    }
)
IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What Claude reads, wherever it is served."""


JSON_WORD = "Answer in JSON."
"""What is said where a client asks for JSON by a setting alone, and the provider wants the word ("'messages' must contain the word
'json' in some form", OpenAI, Groq, DeepSeek; on responses the instructions do not count; xray.koplugin#33, read 2026-11-27)."""
PLAIN = Quirks()


class Fitted(msgspec.Struct):
    """What an answer must be told by."""

    properties: dict[str, dict[str, str]] = {}
    """A tool's name as the provider knows it → the names of properties that differ there → as the client knows them."""

    names: dict[str, str] = {}
    """A tool's name as the provider knows it → as the client does; only those that differ."""


@Stepwise
def fit(request: Request, rules: Rules, facts: Facts, quirks: Quirks = PLAIN) -> Steps[Fitted]:
    """Change a request, in place, into one that providers with these rules take. Raises InvalidBodyError."""
    if quirks.call_id_chars:
        rules = msgspec.structs.replace(
            rules, call_ids=Ids(chars="a-zA-Z0-9", chars_max=quirks.call_id_chars, is_exact=True)
        )
    if quirks.instructions_first or facts.instructions_first:
        rules = msgspec.structs.replace(rules, instructions=False)
    if rules.json_word and request.format is not None and not request.format.has_schema:
        _say_json(request, rules.json_word == "anywhere")
    yield from _fit_instructions(request, rules)
    yield from _fit_texts(request, rules)
    yield from _fit_media(request, rules)
    if quirks.media:
        _refuse_media(request, quirks)
    request.messages = _merged(request.messages)
    yield
    request.messages = yield from pair.steps(request.messages, rules.call_ids, rules.arguments_are_text)
    _fit_turns(request, rules, facts)
    yield
    if request.search is not None and not (rules.searches and quirks.web_search and _is_free(web_search.NAME, request)):
        web_search.leave_out(request)
    if rules.past_tools and not request.tools:
        _declare_past_tools(request)
    _drop_namesakes(request)
    _fit_choice(request)
    for tool in request.tools:
        yield
        tool.schema = schemas.mended(tool.schema)
        if rules.tool_schemas:
            _fit_schema(tool, rules, request.dropped)
        if tool.strict and not schemas.is_strict(tool.schema, rules.strict_needs_all, rules.strict_refuses):
            tool.strict = None
            request.dropped.append(f"tools.{tool.name[:64]}.strict")
    if rules.output_words and request.format is not None and request.format.has_schema:
        request.format.schema = _without(request.format.schema, rules.output_words, request.dropped)
    form = request.format
    if rules.strict_needs_all and form is not None and form.strict:
        form.strict = schemas.is_strict(form.schema, True, frozenset()) or None
    if request.user is not None and rules.user_max and len(request.user) > rules.user_max:
        request.user = None
        request.dropped.append("user")
    if request.shared and not (rules.shares and quirks.shares_fields):
        request.dropped += request.shared
        request.shared = {}
    _fit_sampling(request, rules, facts, quirks)
    yield
    yield from fit_marks.steps(request, rules.marks_max, rules.marks_all)
    if not facts.google_signatures and not rules.google_signatures:
        for message in request.messages:
            for part in message.parts:
                if isinstance(part, canonical.ToolCall):
                    part.signature = None
    names = yield from _fit_names(request, rules)
    return Fitted(properties=(yield from _fit_properties(request, rules)), names=names)


# Texts and turns


def _say_json(request: Request, in_instructions: bool) -> None:
    parts = [part for message in request.messages for part in message.parts if isinstance(part, Text)]
    parts += request.system if in_instructions else []
    if any("json" in part.text.lower() for part in parts):
        return
    first = next((message for message in request.messages if message.role == "user"), None)
    if first is not None:
        first.parts.insert(0, Text(JSON_WORD, is_instruction=True))
    else:
        request.system.append(Text(JSON_WORD))


def _fit_instructions(request: Request, rules: Rules) -> Steps[None]:
    """An instruction in the middle stands behind the results of tools that it is sent with: they must follow their calls."""
    for message in request.messages:
        yield
        if not any(isinstance(part, Text) and part.is_instruction for part in message.parts):
            continue
        message.parts.sort(key=lambda part: not isinstance(part, canonical.ToolResult))
        for part in message.parts:
            if isinstance(part, Text) and part.is_instruction and not rules.instructions and part.text.strip():
                part.text = f"<system-reminder>\n{part.text}\n</system-reminder>"
                part.is_instruction = False


def _fit_texts(request: Request, rules: Rules) -> Steps[None]:
    def is_blank(part: object) -> bool:
        return isinstance(part, Text) and not (part.text.strip() if rules.blank_is_white else part.text)

    request.system = [text for text in request.system if not is_blank(text)]
    for message in request.messages:
        yield
        for part in message.parts:
            if isinstance(part, canonical.ToolResult):
                part.content = [item for item in part.content if not is_blank(item)]
                if not part.content and rules.empty_result:
                    part.content = [Text(rules.empty_result)]
                if part.is_error and not rules.error_results and not _SAYS_ERROR.match(canonical.text_of(part.content)):
                    part.content.insert(0, Text("Error: "))
        if rules.makers is not None and any(_is_foreign(part, rules.makers) for part in message.parts):
            message.parts = [part for part in message.parts if not _is_foreign(part, rules.makers)]
            request.dropped.append("messages.thinking")
        message.parts = [part for part in message.parts if not is_blank(part)]
    last = request.messages[-1] if request.messages else None
    if rules.blank_is_white and last is not None and last.role == "assistant" and last.parts:
        part = last.parts[-1]
        if isinstance(part, Text):  # a prefill ends without white space
            part.text = part.text.rstrip()


_SAYS_ERROR = re.compile(r"\W*(error|\(no result)", re.IGNORECASE)


def _is_foreign(part: object, makers: frozenset[str]) -> bool:
    """True for thinking that nobody there could verify."""
    return isinstance(part, canonical.Thinking) and (
        part.maker not in makers or (part.signature is None and part.redacted is None)
    )


def _merged(messages: list[Message]) -> list[Message]:
    """Return the turns without empty ones, those of one role in a row as one."""
    turns: list[Message] = []
    for message in messages:
        if not message.parts:
            continue
        if turns and turns[-1].role == message.role:
            turns[-1].parts.extend(message.parts)
        else:
            turns.append(message)
    return turns


def _fit_turns(request: Request, rules: Rules, facts: Facts) -> None:
    turns = request.messages
    thinks = rules.makers is not None and request.reasoning is not None and request.reasoning.budget != 0
    if turns and turns[-1].role == "assistant" and (thinks or not facts.takes_prefill):
        turns.append(Message("user", [Text(CONTINUED)]))
    has_user = any(turn.role == "user" for turn in turns)
    if turns and rules.user_first and turns[0].role != "user":
        turns.insert(0, Message("user", [Text(CONTINUED)]))
    elif (rules.user_turn or not (turns or request.system)) and not has_user:
        if turns or not request.system:
            turns.append(Message("user", [Text(CONTINUED)]))
        else:  # instructions alone are what is asked
            turns.append(Message("user", [*request.system]))
            request.system = []
    if turns and rules.words_first and not any(_has_words(turn) for turn in turns):
        turns.insert(0, Message("user", [Text(CONTINUED)]))
    request.messages = turns


def _has_words(turn: Message) -> bool:
    return turn.role == "user" and any(not isinstance(part, canonical.ToolResult) for part in turn.parts)


# Media

_SAME_TYPE = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_TEXT_TYPES = frozenset(
    {
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/javascript",
        "application/csv",
    }
)


def _fit_media(request: Request, rules: Rules) -> Steps[None]:
    for message in request.messages:
        yield
        message.parts = [_fitted(part, rules) if isinstance(part, Media) else part for part in message.parts]
        for part in message.parts:
            if isinstance(part, canonical.ToolResult):
                part.content = [_fitted(item, rules) if isinstance(item, Media) else item for item in part.content]


def _refuse_media(request: Request, quirks: Quirks) -> None:
    """Refuse what the provider does not read, by its name: it would refuse the request with less to say."""
    for message in request.messages:
        for part in message.parts:
            for item in part.content if isinstance(part, canonical.ToolResult) else (part,):
                if isinstance(item, Media) and (item.mime not in quirks.media or item.data is None):
                    raise media.refusal(item)


def _fitted(item: Media, rules: Rules) -> Text | Media:
    mime = (item.mime or "").partition(";")[0].strip().lower()
    if item.data is not None:
        if "\n" in item.data or " " in item.data:  # as `base64` prints it
            item.data = "".join(item.data.split())
        mime = media.mime_of_data(item.data, item.kind) or mime  # providers compare them (litellm#24900, jcode#465)
    item.mime = _SAME_TYPE.get(mime, mime) or None
    if item.kind == "file" and mime.startswith("image/"):
        item.kind = "image"
    if item.kind == "image" and item.data is not None and rules.images and item.mime not in rules.images:
        known = ", ".join(sorted(rules.images))
        raise InvalidBodyError(
            f"images of type {mime[:64]!r} are not read by this model's provider; send {known}", "messages"
        )
    is_text = mime.startswith("text/") or mime in _TEXT_TYPES
    if item.kind == "file" and item.data is not None and rules.text_files and is_text:
        text = media.text_of_base64(item.data)
        return Text(f"{item.name}:\n{text}" if item.name else text, item.cache)
    return item


# Tools


def _declare_past_tools(request: Request) -> None:
    called = dict.fromkeys(
        part.name for message in request.messages for part in message.parts if isinstance(part, canonical.ToolCall)
    )
    request.tools = [canonical.Tool(name, PAST_TOOL) for name in called]
    results = any(isinstance(part, canonical.ToolResult) for message in request.messages for part in message.parts)
    if results and not called:
        request.tools = [canonical.Tool("past_tool", PAST_TOOL)]


def _is_free(name: str, request: Request) -> bool:
    return all(tool.name != name for tool in request.tools)


def _fit_choice(request: Request) -> None:
    """A choice of a tool that was left out chooses nothing."""
    choice = request.choice
    if choice is None or choice.mode != "named" or not request.tools:
        return
    if _is_free(choice.names[0], request) and not (request.search is not None and choice.names[0] == web_search.NAME):
        request.choice = canonical.ToolChoice("auto", [], choice.parallel)
        request.dropped.append("tool_choice")


def _drop_namesakes(request: Request) -> None:
    """Keep the first of tools with one name ("Tool names must be unique", Anthropic; Gemini and OpenAI say it alike)."""
    tools = {tool.name: tool for tool in reversed(request.tools)}
    if len(tools) < len(request.tools):
        request.dropped += [f"tools.{tool.name[:64]}" for tool in request.tools if tools[tool.name] is not tool]
        request.tools = [tool for tool in request.tools if tools[tool.name] is tool]


def _fit_schema(tool: canonical.Tool, rules: Rules, dropped: list[str]) -> None:
    try:
        schema = msgspec.json.decode(tool.schema)
    except UNREADABLE:
        return
    if not isinstance(schema, dict):
        schema = {}
    words = rules.top_words & schema.keys()
    is_object = schema.get("type") == "object"
    if is_object and not words and isinstance(schema.get("properties"), dict):
        return
    properties = schema.get("properties")
    merged: dict[str, Any] = dict(properties) if isinstance(properties, dict) else {}
    for word in sorted(words):
        for variant in schema.pop(word) if isinstance(schema[word], list) else [schema.pop(word)]:
            if word in COMBINATORS and isinstance(variant, dict) and isinstance(variant.get("properties"), dict):
                for name, found in variant["properties"].items():
                    merged.setdefault(name, found)
        dropped.append(f"tools.{tool.name[:64]}.{word}")
    tool.schema = Raw(encode(schema | {"type": "object", "properties": merged}))


def _without(raw: Raw, words: frozenset[str], dropped: list[str]) -> Raw:
    """Leave keywords out of a schema at every level, and close its objects' additional properties."""
    found: dict[str, None] = {}

    def walk(value: Any, is_names: bool) -> Any:
        if isinstance(value, list):
            return [walk(item, False) for item in value]
        if not isinstance(value, dict):
            return value
        out: dict[str, Any] = {}
        for key, item in value.items():
            if not is_names and (key in words or (key == "minItems" and item not in {0, 1})):
                found[key] = None
            elif not is_names and key == "additionalProperties" and item is not False:
                found[key] = None
                out[key] = False
            elif not is_names and key in {"enum", "const", "default", "examples"}:
                out[key] = item
            else:
                out[key] = walk(item, not is_names and key in {"properties", "$defs", "definitions"})
        return out

    schema = walk(Node({"schema": msgspec.json.decode(raw)}, "response_format").schema("schema"), False)
    if not found:
        return raw
    dropped += [f"response_format.{word}" for word in found]
    return Raw(encode(schema))


# Names


def _fit_names(request: Request, rules: Rules) -> Steps[dict[str, str]]:
    """Give every tool a name in the provider's alphabet, the same in declarations, choices and histories."""
    good = re.compile(rf"[{rules.name_chars}]{{1,{rules.name_chars_max}}}")
    bad_char = re.compile(rf"[^{rules.name_chars}]")
    calls = [part for message in request.messages for part in message.parts if isinstance(part, canonical.ToolCall)]
    chosen = request.choice.names if request.choice is not None else []
    names = dict.fromkeys([*(tool.name for tool in request.tools), *chosen, *(call.name for call in calls)])
    taken: set[str] = set()
    for name in names:
        yield
        if _is_good(name, good, rules):
            taken.add(name)
    if len(taken) == len(names):
        return {}
    given: dict[str, str] = {}
    for name in names:
        yield
        if name not in taken:
            given[name] = _short(name, bad_char, rules, taken)
            taken.add(given[name])
    for tool in request.tools:
        tool.name = given.get(tool.name, tool.name)
    for call in calls:
        call.name = given.get(call.name, call.name)
    for message in request.messages:
        yield
        for part in message.parts:
            if isinstance(part, canonical.ToolResult) and part.name is not None:
                part.name = given.get(part.name, part.name)
    if request.choice is not None:
        request.choice.names = [given.get(name, name) for name in request.choice.names]
    return {short: name for name, short in given.items()}


def _fit_properties(request: Request, rules: Rules) -> Steps[dict[str, dict[str, str]]]:
    """Give the properties of tools names in the provider's alphabet, in declarations and in histories: one that is refused costs
    all tools of all servers (composio#3500, claude-code#79418; read 2026-11-27)."""
    found: dict[str, dict[str, str]] = {}
    given: dict[str, dict[str, str]] = {}
    if not rules.property_chars:
        return found
    for tool in request.tools:
        yield
        tool.schema, renamed = schemas.with_safe_names(tool.schema, rules.property_chars, PROPERTY_CHARS_MAX)
        if renamed:
            found[tool.name] = renamed
            given[tool.name] = {theirs: ours for ours, theirs in renamed.items()}
    for message in request.messages if found else ():
        yield
        for part in message.parts:
            if isinstance(part, canonical.ToolCall) and part.name in given:
                part.arguments = schemas.renamed(part.arguments, given[part.name])
    return found


def _is_good(name: str, good: "re.Pattern[str]", rules: Rules) -> bool:
    if good.fullmatch(name) is None:
        return False
    return not rules.name_starts_with_letter or name[0].isalpha() or name[0] == "_"


def _short(name: str, bad_char: "re.Pattern[str]", rules: Rules, taken: set[str]) -> str:
    """Make a name that fits, the same for the same name in every request: histories stay equal, so prefixes stay cached."""
    plain = bad_char.sub("_", name)
    if rules.name_starts_with_letter and not (plain[:1].isalpha() or plain[:1] == "_"):
        plain = f"_{plain}"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
    if plain in taken or len(plain) > rules.name_chars_max or not plain:
        plain = f"{plain[: rules.name_chars_max - _HASH_CHARS - 1]}_{digest}"
    return plain


# Sampling


def _fit_sampling(request: Request, rules: Rules, facts: Facts, quirks: Quirks) -> None:
    _fit_stop(request, rules)
    for name in facts.refused:
        if getattr(request, name) not in (None, []):
            setattr(request, name, [] if name == "stop" else None)
            request.dropped.append(name)
    if facts.one_of_temperature_and_top_p and request.temperature is not None and request.top_p is not None:
        request.top_p = None
        request.dropped.append("top_p")
    if rules.temperature_max is not None and request.temperature is not None:
        request.temperature = min(request.temperature, rules.temperature_max)
    for name, (least, most) in rules.bounds.items():
        value = getattr(request, name)
        if value is not None:
            setattr(request, name, max(least, min(value, most)))
    if request.choice is not None and not facts.calls_in_parallel and request.choice.parallel is not None:
        request.choice.parallel = None
        request.dropped.append("parallel_tool_calls")
    if request.format is not None and request.tools and (facts.format_or_tools or quirks.format_or_tools):
        request.format = None
        request.dropped.append("response_format")
    _fit_reasoning(request, rules, facts)
    forced = request.choice is not None and request.choice.mode in {"required", "named"}
    if forced and facts.chooses_alone and not quirks.thinking_off:
        request.choice = canonical.ToolChoice(
            "auto", [], request.choice.parallel if request.choice is not None else None
        )
        request.dropped.append("tool_choice")
    if facts.output_max is not None:
        request.output_max = facts.output_max
        if request.max_tokens is not None:
            request.max_tokens = min(request.max_tokens, facts.output_max)


def _fit_stop(request: Request, rules: Rules) -> None:
    """Leave out stop sequences that say nothing, blank ones where the provider refuses them ("each stop sequence must contain
    non-whitespace", Anthropic), and those beyond its number."""
    kept = [one for one in request.stop if (one.strip() if rules.makers is not None else one)][: rules.stop_max]
    if len(kept) < len(request.stop):
        request.dropped.append("stop")
        request.stop = kept


def _fit_reasoning(request: Request, rules: Rules, facts: Facts) -> None:
    wanted = request.reasoning
    if wanted is None:
        return
    effort = reasoning.effort_of(wanted)
    if facts.reasons is False:
        request.reasoning = None
        request.dropped.append("reasoning")
    elif rules.efforts_are_words and effort is not None:
        wanted.effort = reasoning.nearest(effort, facts.efforts)
        wanted.budget = None
        if wanted.effort is None:
            request.reasoning = None
            request.dropped.append("reasoning")
    elif facts.budget_max is not None:
        budget = reasoning.budget_of(wanted)
        if budget == 0 and not facts.stops_thinking:
            wanted.budget = facts.budget_min
        elif budget and budget > 0:
            wanted.budget = max(facts.budget_min, min(budget, facts.budget_max))
