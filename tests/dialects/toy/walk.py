"""Registers the toy, as its line in the registry would, and walks through everything that a dialect does."""

import json

import toy

from switchgear.core import problems
from switchgear.core.problems import Problem
from switchgear.dialects import errors, registry
from switchgear.dialects.answer_metadata import Unfit

registry.DIALECTS = (*registry.DIALECTS, toy.ROW)  # type: ignore[misc]
registry.BY_NAME["toy"] = toy.ROW

from switchgear.dialects.dialect_choice import choose_dialect  # noqa: E402 - what is derived from the registry comes after it
from switchgear.dialects.request_reader import parse  # noqa: E402
from switchgear.dialects.translation import open_translation  # noqa: E402 - what is derived from the registry comes after it
from switchgear.edge import paths  # noqa: E402
from switchgear.providers.quirks import Quirks  # noqa: E402

# its paths are served, and its errors are said where they are not
assert paths.find(b"/v1/toy").endpoint.dialect is toy.ROW
match = paths.find(b"/toys/a%2Fb/talk")
assert (match.endpoint.dialect.name, match.rest) == ("toy", "a/b")
_, body = match.endpoint.dialect.error(errors.of_problem(Problem(problems.MODEL_NOT_FOUND, "no such model"), "id1"))
assert json.loads(body) == {"sorry": "no such model (request id: id1)"}

# between clients and providers of the dialect: verbatim
asked = parse(b'{"model":"m","say":"hi"}', "toy", "chat")
same = open_translation(asked, "toy", "toy", "up", Quirks(), created=1)
assert (same.path, json.loads(same.body)) == ("/toy", {"say": "hi", "model": "up"})
assert same.read(b'{"heard":"x","tokens":[1,2]}', []).usage.output == 2
assert same.read(b"{}", [(b"content-type", b"application/json")]).unfit == Unfit("it has no 'heard'")
tap = same.tap()
assert tap.feed(b'data: {"heard":"abcd"}\n\ndata: {"tokens":[1,2]}\n\n').endswith(b"}\n\n")
assert tap.is_clean and tap.metadata.usage.input == 1

# to a provider of another dialect, and from a client of another
assert choose_dialect("toy", "chat", ("anthropic",)) == "anthropic"
over = open_translation(asked, "toy", "anthropic", "claude", Quirks(), created=1)
assert json.loads(over.body)["messages"] == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
answer = b'{"content":[{"type":"text","text":"yes"}],"usage":{"input_tokens":3,"output_tokens":4}}'
assert json.loads(over.answer(answer)) == {"heard": "yes", "tokens": [3, 4]}
chat = parse(b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}', "openai", "chat")
assert choose_dialect("openai", "chat", ("toy",)) == "toy"
under = open_translation(chat, "openai", "toy", "up", Quirks(), created=1)
assert json.loads(under.body) == {"model": "up", "say": "hi", "stream": True}
out = under.tap().feed(b'data: {"heard":"yes"}\n\ndata: {"tokens":[3,4]}\n\n')
assert b'"content":"yes"' in out and out.endswith(b"data: [DONE]\n\n")
