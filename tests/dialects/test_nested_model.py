"""A model that the path names and the body again."""

import json

import pytest

from switchgear.dialects.json_node import InvalidBodyError
from switchgear.dialects.registry import BY_NAME
from switchgear.dialects.request_reader import parse
from switchgear.dialects.request_writer import upstream_body


def written(request, *more):
    return upstream_body(request, BY_NAME[request.dialect], *more)


NESTED = [
    ("embeddings_batch", '{"requests":[{"model":"%s","content":{"parts":[{"text":"x"}]}}]}'),
    ("count_tokens", '{"generateContentRequest":{"model":"%s","contents":[]}}'),
    ("count_tokens", '{"generate_content_request":{"model":"%s","contents":[]}}'),
]


@pytest.mark.parametrize(("operation", "body"), NESTED)
def test_a_model_within_a_body_of_gemini_is_the_one_of_its_path(operation, body):
    # Gemini API reference, "models.batchEmbedContents": "The model in each of these requests must match the model specified".
    for other in ("models/other", "other", ""):
        with pytest.raises(InvalidBodyError):
            parse((body % other).encode(), "gemini", operation, "mine", False)
    asked = parse((body % "models/mine").encode(), "gemini", operation, "mine", False)
    sent = bytes(written(asked, "real", False)).decode()
    assert json.loads(sent) == json.loads(body % "models/real")


@pytest.mark.parametrize("key", ["Model", "MODEL"])
def test_a_model_in_other_letters_within_a_body_of_gemini_is_refused(key):
    body = f'{{"requests":[{{"model":"models/mine","{key}":"models/other"}}]}}'
    with pytest.raises(InvalidBodyError):
        parse(body.encode(), "gemini", "embeddings_batch", "mine", False)


def test_a_model_that_stands_twice_within_a_body_of_gemini_is_sent_once():
    body = b'{"requests":[{"model":"models/other","model":"models/mine"}]}'
    asked = parse(body, "gemini", "embeddings_batch", "mine", False)
    assert bytes(written(asked, "mine", False)) == b'{"requests":[{"model":"models/mine"}]}'
