"""Bodies, answers and streams of any size, each of one shape that is repeated: what a client or a provider can make long.
Level 5.

`tests/testing/test_shapes.py` doubles each and measures how the cost grows; `python -m switchgear.bench.stops` measures how
long each keeps the loop from others. A new shape is one line; where it stands says what it goes through.
"""

from collections.abc import Iterator

import msgspec

DIGITS = 7
"""Of the number of a unit, so that all units have one size."""


class Shape(msgspec.Struct, frozen=True):
    """`head`, then `unit` again and again with `between`, then `tail`. `%d` in a unit is its number."""

    name: str
    head: str
    unit: str
    tail: str
    between: str = ","

    def make(self, size: int) -> bytes:
        """Return about `size` bytes."""
        room = max(1, size - len(self.head) - len(self.tail))
        marks = self.unit.count("%d")
        count = max(1, room // (len((self.unit + self.between).encode()) + marks * (DIGITS - 2)))
        if not marks:
            text = (self.unit + self.between).encode() * count
        else:
            first = 10 ** (DIGITS - 1)
            pieces = [self.unit % ((first + number,) * marks) + self.between for number in range(count)]
            text = "".join(pieces).encode()
        if self.between:
            text = text[: -len(self.between.encode())]
        return self.head.encode() + text + self.tail.encode()


def _user(name: str, unit: str, between: str = ",") -> Shape:
    return Shape(name, '{"model":"m","messages":[{"role":"user","content":"x"},', unit, "]}", between)


def _text(name: str, unit: str) -> Shape:
    return Shape(name, '{"model":"m","messages":[{"role":"user","content":"', unit, '"}]}', "")


def _part(name: str, unit: str) -> Shape:
    return Shape(name, '{"model":"m","messages":[{"role":"user","content":[', unit, "]}]}")


def _key(name: str, key: str, unit: str, between: str = ",", ends: str = "[]") -> Shape:
    begin = f'{{"model":"m","messages":[{{"role":"user","content":"x"}}],"max_tokens":9,"{key}":{ends[0]}'
    return Shape(name, begin, unit, f"{ends[1]}}}", between)


_ASKED = '{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":9,'
_TOOL = '{"type":"function","function":{"name":"t%d","parameters":{"type":"object","properties":{}}}}'

REQUESTS: dict[str, tuple[Shape, ...]] = {
    "openai": (
        _text("plain text", "some words of a text "),
        _text("lines", "a line of it\\n"),
        _text("escaped quotes", '\\"'),
        _text("escaped backslashes", "\\\\"),
        _text("escaped letters", "\\u00e9"),
        _text("two-byte letters", "é"),
        _text("four-byte letters", "𝄞"),
        _user("messages", '{"role":"user","content":"hello there you"}'),
        _user("turns", '{"role":"assistant","content":"a"},{"role":"user","content":"b"}'),
        _user("systems", '{"role":"system","content":"a"}'),
        _user("empty messages", "{}"),
        _user("empty lists", "[]"),
        _user("numbers", "1"),
        _user("empty strings", '""'),
        _user("nested lists", "[" * 40 + "]" * 40),
        Shape("white space", '{"model":"m","messages":[{"role":"user","content":"x"}', " ", "]}", ""),
        _user("calls", '{"role":"assistant","tool_calls":[{"id":"c%d","function":{"name":"f","arguments":"{}"}}]}'),
        _user(
            "calls and results",
            '{"role":"assistant","tool_calls":[{"id":"c%d","function":{"name":"f","arguments":"{}"}}]},'
            '{"role":"tool","tool_call_id":"c%d","content":"r"}',
        ),
        Shape(
            "results of one call",
            '{"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","type":'
            '"function","function":{"name":"f","arguments":"{}"}}]},',
            '{"role":"tool","tool_call_id":"c","content":"r%d"}',
            "]}",
        ),
        Shape(
            "properties with odd names",
            '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f",'
            '"parameters":{"type":"object","properties":{',
            '"é%d":{}',
            "}}}}]}",
        ),
        _user("names of called tools", '{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"é%d"}}]}'),
        _user("thoughts", '{"role":"assistant","reasoning_content":"a","content":"b"}'),
        Shape(
            "calls of one turn",
            '{"model":"m","messages":[{"role":"assistant","tool_calls":[',
            '{"id":"c%d","function":{"name":"f","arguments":"{}"}}',
            "]}]}",
        ),
        Shape(
            "signed thoughts of one turn",
            '{"model":"m","messages":[{"role":"assistant","content":"x","reasoning_details":[',
            '{"text":"a","signature":"b","format":"anthropic-v1"}',
            "]}]}",
        ),
        Shape(
            "arguments of a call",
            '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{',
            '\\"k%d\\":[]',
            '}"}}]}]}',
        ),
        _part("files by id", '{"type":"file","file":{"file_id":"f%d"}}'),
        _part("a file by id among others", '{"type":"text","text":"\\"file_id\\""},{"type":"text","text":"a"}'),
        Shape(
            "a file by id and many values",
            '{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]},',
            '{"role":"user","content":[{}]}',
            "]}",
        ),
        _user("keys that stand twice", '{"role":"user","file_id":"a","k%d":1,"k%d":2}'),
        Shape(
            "a key of many that stands twice",
            '{"model":"m","messages":[{"role":"user","file_id":"a","z":1,',
            '"k%d":1',
            ',"z":2}]}',
        ),
        _part("text parts", '{"type":"text","text":"a"}'),
        _part("cached text parts", '{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}'),
        _part("images", '{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}'),
        Shape(
            "one image",
            '{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":'
            '"data:image/png;base64,',
            "AAAAAAAAAAAAAAAA",
            '"}}]}]}',
            "",
        ),
        Shape(
            "one text file",
            '{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.txt","file_data":'
            '"data:text/plain;base64,',
            "QUFB",
            '"}}]}]}',
            "",
        ),
        Shape(
            "parameters of a data URL",
            '{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png',
            ";a=b",
            '"}}]}]}',
            "",
        ),
        Shape(
            "a URL",
            '{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"h:',
            "/?.",
            '"}}]}]}',
            "",
        ),
        _key("tools", "tools", _TOOL),
        _key("tools of one name", "tools", _TOOL.replace("%d", "")),
        _key("names of tools", "tools", _TOOL.replace("t%d", "é%d")),
        _key("foreign tools", "tools", '{"type":"web_search"}'),
        _key("tools and foreign tools", "tools", _TOOL + ',{"type":"web_search"}'),
        _key(
            "allowed tools",
            'tool_choice":{"type":"allowed_tools","mode":"auto","tools":[{"name":"t1"},{"name":"t2"}]},"tools',
            _TOOL,
        ),
        Shape(
            "names of allowed tools",
            '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[' + _TOOL % 1 + '],"tool_choice":'
            '{"type":"allowed_tools","mode":"auto","tools":[',
            '{"name":"t%d"}',
            "]}}",
        ),
        Shape(
            "properties of a schema",
            _ASKED + '"tools":[{"function":{"name":"f","parameters":{"properties":{',
            '"k%d":{}',
            "}}}}]}",
        ),
        Shape(
            "variants of a schema",
            _ASKED + '"tools":[{"function":{"name":"f","parameters":{"anyOf":[',
            '{"properties":{"k%d":{}}}',
            "]}}}]}",
        ),
        Shape(
            "an answer's schema",
            _ASKED
            + '"response_format":{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object","properties":{',
            '"k%d":{"type":"object","minLength":1}',
            "}}}}}",
        ),
        _key("stop words", "stop", '"s%d"'),
        _key("biases", "logit_bias", '"%d":1', ends="{}"),
        _key("metadata", "metadata", '"k%d":"v"', ends="{}"),
        Shape("tags", _ASKED + '"metadata":{"tags":[', '"t%d"', "]}}"),
        _key("a user", "user", "u", "", '""'),
        _key("an unknown list", "unknown", "1"),
        Shape("keys", '{"model":"m","messages":[{"role":"user","content":"x"}],', '"k%d":0', "}"),
        Shape("keys of one name", '{"model":"m","messages":[{"role":"user","content":"x"}],', '"k":[]', "}"),
        Shape("models", '{"model":"m","messages":[],', '"model":"m"', "}"),
        Shape("the name of a key", '{"model":"m","messages":[],"', "k", '":1}', ""),
        Shape("a model's name", '{"messages":[],"model":"', "m", '"}', ""),
        _key("digits", "seed", "9", "", "  "),
        _key("digits of a fraction", "temperature", "1", "", "0 ".replace("0", "1")),
        Shape("a string without end", '{"model":"m","messages":' + "[" * 60 + '"', '\\"', "", ""),
        Shape("strings without end", '{"model":"m","messages":[', '"', "", ""),
        Shape("backslashes without end", '{"model":"m","messages":["', "\\", "", ""),
        Shape("open lists", '{"model":"m","messages":', "[", "", ""),
        Shape("closed lists", '{"model":"m","messages":[]', "]", "", ""),
        Shape(
            "watched words in a text", '{"model":"m","messages":[{"role":"user","content":"', '\\"model\\":', '"}]}', ""
        ),
    ),
    "responses": (
        Shape("items", '{"model":"m","input":[', '{"role":"user","content":"a"}', "]}"),
        Shape("items by id", '{"model":"m","input":[', '{"id":"msg_%d"}', "]}"),
        Shape(
            "items with ids",
            '{"model":"m","input":[',
            '{"type":"message","id":"m%d","role":"user","content":"a"}',
            "]}",
        ),
        Shape("parts", '{"model":"m","input":[{"role":"user","content":[', '{"type":"input_text","text":"a"}', "]}]}"),
        Shape(
            "calls and results",
            '{"model":"m","input":[',
            '{"type":"function_call","call_id":"c%d","name":"f","arguments":"{}"},'
            '{"type":"function_call_output","call_id":"c%d","output":"r"}',
            "]}",
        ),
        Shape(
            "freeform calls",
            '{"model":"m","input":[',
            '{"type":"custom_tool_call","call_id":"c","name":"f","input":"a"}',
            "]}",
        ),
        Shape(
            "thoughts",
            '{"model":"m","input":[',
            '{"type":"reasoning","summary":[{"text":"a"}],"encrypted_content":"s"}',
            "]}",
        ),
        Shape("pieces of a thought", '{"model":"m","input":[{"type":"reasoning","summary":[', '{"text":"a"}', "]}]}"),
        Shape("unknown items", '{"model":"m","input":["x",', '{"type":"t%d"}', "]}"),
        Shape("tools", '{"model":"m","input":"x","tools":[', '{"type":"function","name":"t%d"}', "]}"),
        Shape("freeform tools", '{"model":"m","input":"x","tools":[', '{"type":"custom","name":"t%d"}', "]}"),
        Shape("instructions", '{"model":"m","input":"x","instructions":"', "some words ", '"}', ""),
    ),
    "anthropic": (
        _user("messages", '{"role":"user","content":"a"}'),
        _part("blocks", '{"type":"text","text":"a"}'),
        _part("unknown blocks", '{"type":"b%d"}'),
        _part("images", '{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}'),
        _part("documents", '{"type":"document","source":{"type":"text","data":"a"}}'),
        _user(
            "calls and results",
            '{"role":"assistant","content":[{"type":"tool_use","id":"c%d","name":"f","input":{}}]},'
            '{"role":"user","content":[{"type":"tool_result","tool_use_id":"c%d","content":"r"}]}',
        ),
        _part("results", '{"type":"tool_result","tool_use_id":"c%d","content":[{"type":"text","text":"r"}]}'),
        Shape(
            "parts of a result",
            '{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[',
            '{"type":"text","text":"r"}',
            "]}]}]}",
        ),
        _user("thoughts", '{"role":"assistant","content":[{"type":"thinking","thinking":"a","signature":"sg.x.y"}]}'),
        Shape(
            "signed calls",
            '{"model":"m","messages":[{"role":"assistant","content":[',
            '{"type":"thinking","thinking":"","signature":"sg.gemini.s"},{"type":"tool_use","id":"c","name":"f","input":{}}',
            "]}]}",
        ),
        _key("systems", "system", '{"type":"text","text":"a"}'),
        _key("tools", "tools", '{"name":"t%d","input_schema":{"type":"object"}}'),
        _key("foreign tools", "tools", '{"type":"web_search_1","name":"w"}'),
        _key("stop words", "stop_sequences", '"s%d"'),
        Shape(
            "input of a call",
            '{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{',
            '"k%d":[]',
            "}}]}]}",
        ),
    ),
    "gemini": (
        Shape(
            "turns",
            '{"contents":[',
            '{"role":"user","parts":[{"text":"a"}]},{"role":"model","parts":[{"text":"b"}]}',
            "]}",
        ),
        Shape("parts", '{"contents":[{"parts":[', '{"text":"a"}', "]}]}"),
        Shape(
            "parts in snakes",
            '{"contents":[{"parts":[',
            '{"inline_data":{"mime_type":"image/png","data":"AAAA"}}',
            "]}]}",
        ),
        Shape("unknown parts", '{"contents":[{"parts":[', '{"p%d":1}', "]}]}"),
        Shape("calls", '{"contents":[{"role":"model","parts":[', '{"functionCall":{"name":"f%d","args":{}}}', "]}]}"),
        Shape(
            "calls and results in turns",
            '{"contents":[',
            '{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},'
            '{"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}',
            "]}",
        ),
        Shape(
            "results without calls",
            '{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},{"parts":[',
            '{"functionResponse":{"name":"g","response":{}}}',
            "]}]}",
        ),
        Shape(
            "results by id",
            '{"contents":[',
            '{"role":"model","parts":[{"functionCall":{"name":"f","id":"c%d"}},{"functionCall":{"name":"f"}}]},'
            '{"parts":[{"functionResponse":{"name":"f","id":"c%d","response":{}}}]}',
            "]}",
        ),
        Shape(
            "a response of many values",
            '{"contents":[{"parts":[{"functionResponse":{"name":"f","response":{',
            '"k%d":[]',
            "}}}]}]}",
        ),
        Shape(
            "functions",
            '{"contents":"x","tools":[{"functionDeclarations":[',
            '{"name":"f%d","parameters":{"type":"OBJECT"}}',
            "]}]}",
        ),
        Shape("tools", '{"contents":"x","tools":[', '{"functionDeclarations":[{"name":"f%d"}]}', "]}"),
        Shape("foreign tools", '{"contents":"x","tools":[', '{"googleSearch":{}}', "]}"),
        Shape(
            "properties of a schema",
            '{"contents":"x","tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{',
            '"snake_key_%d":{"type":"STRING"}',
            "}}}]}]}",
        ),
        Shape("systems", '{"contents":"x","systemInstruction":{"parts":[', '{"text":"a"}', "]}}"),
        Shape("stop words", '{"contents":"x","generationConfig":{"stopSequences":[', '"s%d"', "]}}"),
        Shape("unknown settings", '{"contents":"x","generationConfig":{', '"c_c%d":1', "}}"),
        Shape("the name of a key", '{"contents":"x","', "_a", '":1}', ""),
    ),
    "bedrock": (
        Shape(
            "turns",
            '{"messages":[',
            '{"role":"user","content":[{"text":"a"}]},{"role":"assistant","content":[{"text":"b"}]}',
            "]}",
        ),
        Shape("blocks", '{"messages":[{"role":"user","content":[', '{"text":"a"}', "]}]}"),
        Shape(
            "cache points",
            '{"messages":[{"role":"user","content":[',
            '{"text":"a"},{"cachePoint":{"type":"default"}}',
            "]}]}",
        ),
        Shape(
            "calls and results",
            '{"messages":[',
            '{"role":"assistant","content":[{"toolUse":{"toolUseId":"c%d","name":"f","input":{}}}]},'
            '{"role":"user","content":[{"toolResult":{"toolUseId":"c%d","content":[{"json":{}}]}}]}',
            "]}",
        ),
        Shape(
            "documents",
            '{"messages":[{"role":"user","content":[',
            '{"document":{"format":"pdf","name":"n","source":{"bytes":"AAAA"}}}',
            "]}]}",
        ),
        Shape("systems", '{"messages":[{"role":"user","content":[{"text":"a"}]}],"system":[', '{"text":"a"}', "]}"),
        Shape(
            "tools",
            '{"messages":[{"role":"user","content":[{"text":"a"}]}],"toolConfig":{"tools":[',
            '{"toolSpec":{"name":"t%d","inputSchema":{"json":{}}}}',
            "]}}",
        ),
        Shape(
            "other settings",
            '{"messages":[{"role":"user","content":[{"text":"a"}]}],"additionalModelRequestFields":{',
            '"k%d":1',
            "}}",
        ),
    ),
    "cohere": (
        _user("messages", '{"role":"user","content":"a"}'),
        _part("parts", '{"type":"text","text":"a"}'),
        _part("documents", '{"type":"document","document":{"data":{"a":"b"}}}'),
        _user(
            "calls and results",
            '{"role":"assistant","tool_calls":[{"id":"c%d","function":{"name":"f","arguments":"{}"}}]},'
            '{"role":"tool","tool_call_id":"c%d","content":"r"}',
        ),
        _key("tools", "tools", '{"type":"function","function":{"name":"t%d"}}'),
        _key("stop words", "stop_sequences", '"s%d"'),
    ),
}
"""Bodies of chat requests, by the client's dialect."""

ANSWERS: dict[str, tuple[Shape, ...]] = {
    "openai": (
        Shape(
            "text", '{"id":"a","choices":[{"finish_reason":"stop","message":{"content":"', "some words\\n", '"}}]}', ""
        ),
        Shape("choices", '{"id":"a","choices":[', '{"finish_reason":"stop","message":{"content":"a"}}', "]}"),
        Shape(
            "calls",
            '{"id":"a","choices":[{"message":{"tool_calls":[',
            '{"id":"c%d","function":{"name":"f","arguments":"{}"}}',
            "]}}]}",
        ),
        Shape(
            "images",
            '{"id":"a","choices":[{"message":{"content":"x","images":[',
            '{"image_url":{"url":"data:image/png;base64,AA"}}',
            "]}}]}",
        ),
        Shape(
            "log probabilities",
            '{"id":"a","choices":[{"message":{"content":"x"},"logprobs":{"content":[',
            '{"token":"t","logprob":-0.1,"top_logprobs":[]}',
            "]}}]}",
        ),
        Shape("unknown values", '{"id":"a","choices":[{"message":{"content":"x"}}],"x":[', "[]", "]}"),
    ),
    "responses": (
        Shape(
            "items",
            '{"id":"a","status":"completed","output":[',
            '{"type":"message","content":[{"type":"output_text","text":"a"}]}',
            "]}",
        ),
        Shape(
            "calls",
            '{"id":"a","status":"completed","output":[',
            '{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}',
            "]}",
        ),
        Shape(
            "thoughts",
            '{"id":"a","status":"completed","output":[',
            '{"type":"reasoning","summary":[{"text":"a"}]}',
            "]}",
        ),
    ),
    "anthropic": (
        Shape("blocks", '{"id":"a","type":"message","content":[', '{"type":"text","text":"a"}', "]}"),
        Shape(
            "calls",
            '{"id":"a","type":"message","content":[',
            '{"type":"tool_use","id":"c","name":"f","input":{}}',
            "]}",
        ),
    ),
    "gemini": (
        Shape("parts", '{"responseId":"a","candidates":[{"content":{"parts":[', '{"text":"a"}', "]}}]}"),
        Shape(
            "calls",
            '{"responseId":"a","candidates":[{"content":{"parts":[',
            '{"functionCall":{"name":"f","args":{}}}',
            "]}}]}",
        ),
        Shape(
            "one picture",
            '{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"',
            "AAAAAAAA",
            '"}}]}}]}',
            "",
        ),
        Shape("candidates", '{"candidates":[', '{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}', "]}"),
        Shape(
            "log probabilities",
            '{"candidates":[{"content":{"parts":[{"text":"a"}]},"logprobsResult":{"chosenCandidates":[',
            '{"token":"t","logProbability":-0.1}',
            "]}}]}",
        ),
    ),
    "bedrock": (
        Shape("blocks", '{"stopReason":"end_turn","output":{"message":{"content":[', '{"text":"a"}', "]}}}"),
        Shape(
            "tools of its own",
            '{"stopReason":"end_turn","output":{"message":{"content":[',
            '{"toolUse":{"toolUseId":"c%d","name":"f","input":{}}},{"toolResult":{"toolUseId":"c%d","content":[]}}',
            "]}}}",
        ),
    ),
    "cohere": (Shape("parts", '{"id":"a","message":{"content":[', '{"type":"text","text":"a"}', "]}}"),),
}
"""Plain answers to chat requests, by the provider's dialect."""

STREAMS: dict[str, tuple[Shape, ...]] = {
    "openai": (
        Shape("events", "", 'data: {"id":"a","choices":[{"index":0,"delta":{"content":"a"}}]}', "\n\n", "\n\n"),
        Shape("comments", "", ": ping", "\n\n", "\n\n"),
        Shape("empty lines", "data: {}\n\n", "\n", "", ""),
        Shape("lines of one event", 'data: {"id":"a",\n', "data: ", '\ndata: "x":1}\n\n', "\n"),
        Shape("a line without end", "data: ", "x", "", ""),
        Shape("returns", "", "\r", "", ""),
        Shape(
            "one event", 'data: {"id":"a","choices":[{"index":0,"delta":{"content":"', "some words ", '"}}]}\n\n', ""
        ),
        Shape("values of one event", 'data: {"id":"a","choices":[],"x":[', "[]", "]}\n\n"),
        Shape(
            "calls",
            "",
            'data: {"choices":[{"delta":{"tool_calls":[{"index":%d,"id":"c","function":{"name":"f"}}]}}]}',
            "\n\n",
            "\n\n",
        ),
        Shape(
            "pictures",
            "",
            'data: {"choices":[{"delta":{"images":[{"image_url":{"url":"data:image/png;base64,AA"}}]}}]}',
            "\n\n",
            "\n\n",
        ),
    ),
    "anthropic": (
        Shape(
            "deltas",
            'data: {"type":"message_start","message":{"id":"a","usage":{}}}\n\n'
            'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
            'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}',
            "\n\n",
            "\n\n",
        ),
        Shape(
            "pieces of a call",
            'data: {"type":"content_block_start","content_block":{"type":"tool_use","id":"c","name":"f"}}\n\n',
            'data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"a"}}',
            '\n\ndata: {"type":"content_block_stop"}\n\n',
            "\n\n",
        ),
        Shape("totals", "", 'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":%d}}', "\n\n", "\n\n"),
    ),
    "responses": (
        Shape(
            "deltas",
            'data: {"type":"response.created","response":{"id":"a"}}\n\n',
            'data: {"type":"response.output_text.delta","delta":"a"}',
            "\n\n",
            "\n\n",
        ),
        Shape(
            "items",
            "",
            'data: {"type":"response.output_item.added","item":{"type":"function_call","call_id":"c","name":"f"}}\n\n'
            'data: {"type":"response.output_item.done","item":{"type":"function_call"}}',
            "\n\n",
            "\n\n",
        ),
    ),
    "gemini": (
        Shape(
            "chunks",
            "",
            'data: {"candidates":[{"content":{"parts":[{"text":"a"}]}}],"usageMetadata":{"promptTokenCount":1}}',
            "\r\n\r\n",
            "\r\n\r\n",
        ),
    ),
    "cohere": (
        Shape(
            "deltas",
            'data: {"type":"message-start","id":"a"}\n\n',
            'data: {"type":"content-delta","delta":{"message":{"content":{"text":"a"}}}}',
            "\n\n",
            "\n\n",
        ),
    ),
}
"""Streams of answers, by the provider's dialect."""

LINES: tuple[Shape, ...] = (
    Shape("words", "", "word", "", " "),
    Shape("digits", "", "7", "", ""),
    Shape("dots", "", "a", "", "."),
    Shape("colons", "", "a", "", ":"),
    Shape("quotes", "", '"', "", ""),
    Shape("backslashes", "", "\\", "", ""),
    Shape("slashes", "https://", "a", "", "/"),
    Shape("brackets", "", "[", "", ""),
    Shape("spaces", "", " ", "x", ""),
    Shape("addresses", "", "1.2.3.4", "", " "),
    Shape("hosts", "", "api.openai.com", "", "."),
    Shape("keys", "", "sk-ant-api03-", "", ""),
    Shape("dashes", "sk-", "-", "", ""),
    Shape("assignments", "", "key=", "", ""),
    Shape("equals", "", "=", "", ""),
    Shape("percents", "", "%25", "", ""),
    Shape("ampersands", "", "&a", "", ""),
    Shape("letters", "", "A", "", ""),
    Shape("json", "{", '"a":"b"', "}", ","),
    Shape("deep json", "", '{"a":', "", ""),
    Shape("an unfinished request", '1 - - [x] "GET ', "a", "", ""),
    Shape("clients of bind", "", "client 1#1 (", "", ""),
    Shape("infos", "", "info: a ", "", ""),
    Shape("infos of coredns", "", "[INFO] 1:1 - 1 ", "", ""),
    Shape("queries", "", "query[a] b from", "", " "),
)
"""Long lines: of logs, of files, of headers."""


def of(table: dict[str, tuple[Shape, ...]]) -> Iterator[tuple[str, Shape]]:
    """Go through a table: (dialect, shape)."""
    for dialect, shapes in table.items():
        for shape in shapes:
            yield dialect, shape
