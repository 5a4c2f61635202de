"""The official SDKs, each behind the same few methods: what a person would write with it."""

import base64
import json

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
ANSWER = {
    "type": "object",
    "properties": {"capital": {"type": "string"}},
    "required": ["capital"],
    "additionalProperties": False,
}


class Chat:
    """openai.OpenAI, chat completions."""

    name = "openai (chat)"

    def __init__(self, url, key):
        import openai

        self.client = self.make(openai, url, key)
        self.error = openai.APIStatusError

    def make(self, openai, url, key):
        return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)

    def create(self, model, messages, **more):
        return self.client.chat.completions.create(model=model, messages=messages, **more)

    def text(self, model, text):
        return self.create(model, [{"role": "user", "content": text}]).choices[0].message.content

    def stream(self, model, text):
        chunks = self.create(model, [{"role": "user", "content": text}], stream=True)
        return [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]

    def tools(self, model, names):
        tools = [{"type": "function", "function": {"name": n, "description": n, "parameters": WEATHER}} for n in names]
        messages = [{"role": "user", "content": "weather?"}]
        message = self.create(model, messages, tools=tools).choices[0].message
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls]
        messages.append(message.model_dump(exclude_none=True))
        messages += [
            {"role": "tool", "tool_call_id": c.id, "content": f"sun {n}"} for n, c in enumerate(message.tool_calls)
        ]
        return calls, self.create(model, messages, tools=tools).choices[0].message.content

    def stream_tools(self, model, names):
        tools = [{"type": "function", "function": {"name": n, "description": n, "parameters": WEATHER}} for n in names]
        calls = {}
        for chunk in self.create(model, [{"role": "user", "content": "weather?"}], tools=tools, stream=True):
            for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                entry = calls.setdefault(call.index, ["", ""])
                entry[0] += call.function.name or ""
                entry[1] += call.function.arguments or ""
        return [(name, json.loads(text)) for name, text in calls.values()]

    def image(self, model):
        url = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
        return self.create(model, [{"role": "user", "content": parts}]).choices[0].message.content

    def schema(self, model):
        form = {"type": "json_schema", "json_schema": {"name": "a", "schema": ANSWER, "strict": True}}
        return self.create(model, [{"role": "user", "content": "?"}], response_format=form).choices[0].message.content

    def thinking(self, model):
        message = self.create(model, [{"role": "user", "content": "hi"}], reasoning_effort="low").choices[0].message
        return message.reasoning_content

    def usage(self, model):
        usage = self.create(model, [{"role": "user", "content": "one two three"}]).usage
        return usage.prompt_tokens, usage.completion_tokens


class AzureChat(Chat):
    """openai.AzureOpenAI: the model in the path, the key in `api-key`."""

    name = "AzureOpenAI"

    def make(self, openai, url, key):
        return openai.AzureOpenAI(azure_endpoint=url, api_key=key, api_version="2024-10-21", max_retries=0)


class Responses:
    """openai.OpenAI, responses."""

    name = "openai (responses)"

    def __init__(self, url, key):
        import openai

        self.client = openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0)
        self.error = openai.APIStatusError

    def create(self, model, given, **more):
        return self.client.responses.create(model=model, input=given, **more)

    def text(self, model, text):
        return self.create(model, text).output_text

    def stream(self, model, text):
        events = self.create(model, text, stream=True)
        pieces, last = [], None
        for event in events:
            last = event
            if event.type == "response.output_text.delta":
                pieces.append(event.delta)
        assert last.type == "response.completed"
        assert last.response.output_text == "".join(pieces)
        return pieces

    def _tools(self, names):
        return [{"type": "function", "name": n, "description": n, "parameters": WEATHER, "strict": True} for n in names]

    def tools(self, model, names):
        given = [{"role": "user", "content": "weather?"}]
        answer = self.create(model, given, tools=self._tools(names), store=False)
        calls = [item for item in answer.output if item.type == "function_call"]
        given += [item.model_dump(exclude_none=True) for item in answer.output]
        given += [
            {"type": "function_call_output", "call_id": c.call_id, "output": f"sun {n}"} for n, c in enumerate(calls)
        ]
        again = self.create(model, given, tools=self._tools(names), store=False)
        return [(c.name, json.loads(c.arguments)) for c in calls], again.output_text

    def stream_tools(self, model, names):
        done = []
        for event in self.create(model, "weather?", tools=self._tools(names), stream=True):
            if event.type == "response.output_item.done" and event.item.type == "function_call":
                done.append((event.item.name, json.loads(event.item.arguments)))
        return done

    def image(self, model):
        url = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        parts = [{"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": url, "detail": "auto"}]
        return self.create(model, [{"role": "user", "content": parts}]).output_text

    def schema(self, model):
        form = {"format": {"type": "json_schema", "name": "a", "schema": ANSWER, "strict": True}}
        return self.create(model, "?", text=form).output_text

    def thinking(self, model):
        answer = self.create(model, "hi", reasoning={"effort": "low", "summary": "auto"})
        return "".join(piece.text for item in answer.output if item.type == "reasoning" for piece in item.summary)

    def usage(self, model):
        usage = self.create(model, "one two three").usage
        return usage.input_tokens, usage.output_tokens


class Messages:
    """anthropic.Anthropic."""

    name = "anthropic"

    def __init__(self, url, key):
        import anthropic

        self.client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
        self.error = anthropic.APIStatusError

    def create(self, model, content, **more):
        messages = (
            content if isinstance(content, list) and "role" in content[0] else [{"role": "user", "content": content}]
        )
        return self.client.messages.create(model=model, max_tokens=4000, messages=messages, **more)

    def text(self, model, text):
        return self.create(model, text).content[0].text

    def stream(self, model, text):
        messages = [{"role": "user", "content": text}]
        with self.client.messages.stream(model=model, max_tokens=4000, messages=messages) as stream:
            pieces = list(stream.text_stream)
            assert stream.get_final_message().stop_reason == "end_turn"
        return pieces

    def _tools(self, names):
        return [{"name": n, "description": n, "input_schema": WEATHER} for n in names]

    def tools(self, model, names):
        messages = [{"role": "user", "content": "weather?"}]
        answer = self.create(model, messages, tools=self._tools(names))
        calls = [block for block in answer.content if block.type == "tool_use"]
        messages.append({"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in answer.content]})
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": f"sun {n}"} for n, c in enumerate(calls)]
        messages.append({"role": "user", "content": results})
        again = self.create(model, messages, tools=self._tools(names))
        return [(c.name, c.input) for c in calls], again.content[0].text

    def stream_tools(self, model, names):
        messages = [{"role": "user", "content": "weather?"}]
        with self.client.messages.stream(
            model=model, max_tokens=4000, messages=messages, tools=self._tools(names)
        ) as stream:
            return [(b.name, b.input) for b in stream.get_final_message().content if b.type == "tool_use"]

    def image(self, model):
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PIXEL).decode()}
        return (
            self.create(
                model,
                [{"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image", "source": source}]}],
            )
            .content[0]
            .text
        )

    def schema(self, model):
        form = {"format": {"type": "json_schema", "schema": ANSWER}}
        return self.create(model, "?", extra_body={"output_config": form}).content[0].text

    def thinking(self, model):
        answer = self.create(model, "hi", thinking={"type": "enabled", "budget_tokens": 1024})
        assert answer.content[0].type == "thinking"
        return answer.content[0].thinking

    def usage(self, model):
        usage = self.create(model, "one two three").usage
        return usage.input_tokens, usage.output_tokens


class Gemini:
    """google.genai.Client."""

    name = "google-genai"

    def __init__(self, url, key):
        from google import genai
        from google.genai import errors, types

        self.types = types
        self.client = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url))
        self.error = errors.APIError

    def create(self, model, contents, **config):
        made = self.types.GenerateContentConfig(**config) if config else None
        return self.client.models.generate_content(model=model, contents=contents, config=made)

    def text(self, model, text):
        return self.create(model, text).text

    def stream(self, model, text):
        chunks = list(self.client.models.generate_content_stream(model=model, contents=text))
        assert chunks[-1].candidates[0].finish_reason.name == "STOP"
        return [chunk.text for chunk in chunks if chunk.text]

    def _config(self, names):
        declarations = [{"name": n, "description": n, "parameters_json_schema": WEATHER} for n in names]
        off = self.types.AutomaticFunctionCallingConfig(disable=True)
        return {"tools": [{"function_declarations": declarations}], "automatic_function_calling": off}

    def tools(self, model, names):
        contents = [{"role": "user", "parts": [{"text": "weather?"}]}]
        answer = self.create(model, contents, **self._config(names))
        calls = answer.function_calls
        contents.append(answer.candidates[0].content)
        responses = [
            {"function_response": {"id": c.id, "name": c.name, "response": {"output": f"sun {n}"}}}
            for n, c in enumerate(calls)
        ]
        contents.append({"role": "user", "parts": responses})
        again = self.create(model, contents, **self._config(names))
        return [(c.name, c.args) for c in calls], again.text

    def stream_tools(self, model, names):
        config = self.types.GenerateContentConfig(**self._config(names))
        chunks = self.client.models.generate_content_stream(model=model, contents="weather?", config=config)
        return [(c.name, c.args) for chunk in chunks for c in chunk.function_calls or []]

    def image(self, model):
        part = self.types.Part.from_bytes(data=PIXEL, mime_type="image/png")
        return self.create(model, ["see", part]).text

    def schema(self, model):
        return self.create(model, "?", response_mime_type="application/json", response_json_schema=ANSWER).text

    def thinking(self, model):
        answer = self.create(model, "hi", thinking_config={"thinking_budget": 1024, "include_thoughts": True})
        return "".join(part.text for part in answer.candidates[0].content.parts if part.thought)

    def usage(self, model):
        usage = self.create(model, "one two three").usage_metadata
        return usage.prompt_token_count, usage.candidates_token_count


class Bedrock:
    """boto3's bedrock-runtime client, Converse. It sends a bearer token over TLS only."""

    name = "boto3 (Converse)"
    needs_tls = True

    def __init__(self, url, key, ca_file=None):
        import os

        import boto3
        import botocore.config
        import botocore.exceptions

        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = key  # the SDK's own variable: a bearer token instead of a signature
        self.client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=url,
            verify=ca_file,
            config=botocore.config.Config(retries={"total_max_attempts": 1}),
        )
        self.error = botocore.exceptions.ClientError

    def create(self, model, content, **more):
        messages = content if "role" in content[0] else [{"role": "user", "content": content}]
        return self.client.converse(modelId=model, messages=messages, **more)

    @staticmethod
    def _text(answer):
        return "".join(b["text"] for b in answer["output"]["message"]["content"] if "text" in b)

    def text(self, model, text):
        return self._text(self.create(model, [{"text": text}]))

    def stream(self, model, text):
        answer = self.client.converse_stream(modelId=model, messages=[{"role": "user", "content": [{"text": text}]}])
        events = list(answer["stream"])
        assert any(e.get("messageStop", {}).get("stopReason") == "end_turn" for e in events)
        deltas = [e["contentBlockDelta"]["delta"] for e in events if "contentBlockDelta" in e]
        return [d["text"] for d in deltas if "text" in d]

    def _tools(self, names):
        return {"tools": [{"toolSpec": {"name": n, "description": n, "inputSchema": {"json": WEATHER}}} for n in names]}

    def tools(self, model, names):
        messages = [{"role": "user", "content": [{"text": "weather?"}]}]
        answer = self.create(model, messages, toolConfig=self._tools(names))
        calls = [b["toolUse"] for b in answer["output"]["message"]["content"] if "toolUse" in b]
        messages.append(answer["output"]["message"])
        results = [
            {"toolResult": {"toolUseId": c["toolUseId"], "content": [{"text": f"sun {n}"}]}}
            for n, c in enumerate(calls)
        ]
        messages.append({"role": "user", "content": results})
        again = self.create(model, messages, toolConfig=self._tools(names))
        return [(c["name"], c["input"]) for c in calls], self._text(again)

    def stream_tools(self, model, names):
        messages = [{"role": "user", "content": [{"text": "weather?"}]}]
        answer = self.client.converse_stream(modelId=model, messages=messages, toolConfig=self._tools(names))
        calls = {}
        for event in answer["stream"]:
            start = event.get("contentBlockStart")
            if start and "toolUse" in start["start"]:
                calls[start["contentBlockIndex"]] = [start["start"]["toolUse"]["name"], ""]
            delta = event.get("contentBlockDelta")
            if delta and "toolUse" in delta["delta"]:
                calls[delta["contentBlockIndex"]][1] += delta["delta"]["toolUse"]["input"]
        return [(name, json.loads(text)) for name, text in calls.values()]

    def image(self, model):
        return self._text(
            self.create(model, [{"text": "see"}, {"image": {"format": "png", "source": {"bytes": PIXEL}}}])
        )

    def schema(self, model):
        structure = {"jsonSchema": {"schema": json.dumps(ANSWER), "name": "a"}}
        form = {"textFormat": {"type": "json_schema", "structure": structure}}
        return self._text(self.create(model, [{"text": "?"}], outputConfig=form))

    def thinking(self, model):
        more = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
        answer = self.create(model, [{"text": "hi"}], additionalModelRequestFields=more)
        blocks = answer["output"]["message"]["content"]
        return "".join(b["reasoningContent"]["reasoningText"]["text"] for b in blocks if "reasoningContent" in b)

    def usage(self, model):
        usage = self.create(model, [{"text": "one two three"}])["usage"]
        return usage["inputTokens"], usage["outputTokens"]


class Cohere:
    """cohere.ClientV2."""

    name = "cohere (v2)"

    def __init__(self, url, key):
        import cohere
        from cohere.core.api_error import ApiError

        self.client = cohere.ClientV2(api_key=key, base_url=url)
        self.error = ApiError

    def create(self, model, messages, **more):
        return self.client.chat(model=model, messages=messages, **more)

    @staticmethod
    def _text(answer):
        return "".join(part.text for part in answer.message.content or [] if part.type == "text")

    def text(self, model, text):
        return self._text(self.create(model, [{"role": "user", "content": text}]))

    def stream(self, model, text):
        events = list(self.client.chat_stream(model=model, messages=[{"role": "user", "content": text}]))
        assert events[-1].type == "message-end"
        return [e.delta.message.content.text for e in events if e.type == "content-delta"]

    def _tools(self, names):
        return [{"type": "function", "function": {"name": n, "description": n, "parameters": WEATHER}} for n in names]

    def tools(self, model, names):
        messages = [{"role": "user", "content": "weather?"}]
        message = self.create(model, messages, tools=self._tools(names)).message
        messages.append({"role": "assistant", "tool_calls": [c.model_dump() for c in message.tool_calls]})
        messages += [
            {"role": "tool", "tool_call_id": c.id, "content": f"sun {n}"} for n, c in enumerate(message.tool_calls)
        ]
        again = self.create(model, messages, tools=self._tools(names))
        return [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls], self._text(again)

    def stream_tools(self, model, names):
        calls = []
        for event in self.client.chat_stream(
            model=model, messages=[{"role": "user", "content": "?"}], tools=self._tools(names)
        ):
            if event.type == "tool-call-start":
                calls.append([event.delta.message.tool_calls.function.name, ""])
            elif event.type == "tool-call-delta":
                calls[-1][1] += event.delta.message.tool_calls.function.arguments
        return [(name, json.loads(text)) for name, text in calls]

    def image(self, model):
        url = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url}}]
        return self._text(self.create(model, [{"role": "user", "content": parts}]))

    def schema(self, model):
        form = {"type": "json_object", "json_schema": ANSWER}
        return self._text(self.create(model, [{"role": "user", "content": "?"}], response_format=form))

    def thinking(self, model):
        answer = self.create(
            model, [{"role": "user", "content": "hi"}], thinking={"type": "enabled", "token_budget": 1024}
        )
        return "".join(part.thinking for part in answer.message.content if part.type == "thinking")

    def usage(self, model):
        usage = self.create(model, [{"role": "user", "content": "one two three"}]).usage.billed_units
        return usage.input_tokens, usage.output_tokens


def close(client):
    """Close the SDK's connections."""
    for name in ("close", "_client_wrapper"):
        found = getattr(client.client, name, None)
        if callable(found):
            found()
            return
    inner = getattr(getattr(client.client, "_client_wrapper", None), "httpx_client", None)
    if inner is not None:
        inner.httpx_client.close()


CLIENTS = (Chat, AzureChat, Responses, Messages, Gemini, Bedrock, Cohere)
