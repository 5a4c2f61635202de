"""Ids: order, uniqueness, base 62."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import ids
from switchgear.core.ids import IdSource, attempt_id, base62, random_base62, request_id_floor


def test_request_ids_sort_by_time_and_are_unique():
    source = IdSource(os.urandom)
    ids = [source.request_id(1000 + n // 10) for n in range(1000)]
    assert len(set(ids)) == 1000
    assert ids == sorted(ids)
    assert all(len(i) == 32 for i in ids)
    assert ids[0] >= request_id_floor(1000) and ids[0] < request_id_floor(1001)


def test_an_attempt_is_named_after_its_request():
    assert attempt_id("abc", 2) == "abc-2"


@given(st.text("ab.-_", min_size=1), st.text("ab/@:.*é", min_size=0), st.text("ab.-_", min_size=1))
def test_a_deployments_name_gives_its_parts_back(provider, upstream_model, credential):
    name = ids.deployment_id(provider, upstream_model, credential)
    assert ids.parts_of_deployment(name) == (provider, upstream_model, credential)


def test_ids_of_deployments_and_credentials_are_written_as_provider_model_and_credential():
    assert ids.deployment_id("openai", "gpt-4o", "main") == "openai/gpt-4o@main"
    assert ids.parts_of_deployment("bedrock/eu/claude@2024@main") == ("bedrock", "eu/claude@2024", "main")
    assert ids.credential_id("openai", "main") == "openai/main"


@pytest.mark.parametrize("name", ["", "openai", "openai/main", "openai@main", "@", "openai/gpt-4o@"])
def test_a_malformed_deployment_id_has_no_parts(name):
    assert ids.parts_of_deployment(name) is None


@given(st.integers(0, 62**6 - 1))
def test_a_number_in_base62_decodes_to_itself(value):
    text = base62(value, 6)
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    back = 0
    for char in text:
        back = back * 62 + digits.index(char)
    assert back == value
    assert len(text) == 6


def test_random_characters_are_drawn_without_bias():
    drawn = random_base62(lambda n: bytes([255, 248, 0, 61] * n)[:n], 8)
    assert set(drawn) == {"0", "z"}
