"""SDK types made strict."""

import pydantic
import pytest
from openai.types.chat.completion_create_params import CompletionCreateParams

from switchgear.testing.twins.sdk_types import Strict

GOOD = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}


def test_an_unknown_key_is_refused_at_every_depth():
    adapter = Strict().adapter(CompletionCreateParams)
    adapter.validate_python(GOOD)
    for bad in (
        GOOD | {"zzz": 1},
        {"model": "m", "messages": [{"role": "user", "content": "x", "zzz": 1}]},
        {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "zzz": 1}]}]},
    ):
        with pytest.raises(pydantic.ValidationError, match="zzz"):
            adapter.validate_python(bad)


def test_null_is_accepted_only_where_the_provider_takes_null():
    body = GOOD | {"max_tokens": None, "user": None}
    Strict(nulls=True).adapter(CompletionCreateParams).validate_python(body)
    with pytest.raises(pydantic.ValidationError, match="user"):
        Strict().adapter(CompletionCreateParams).validate_python(body)
