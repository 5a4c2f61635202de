"""Where a secret is about to be sealed for: control's word alone is not enough."""

import msgspec
import pytest

from switchgear.cli import place
from switchgear.cli.provider import build
from switchgear.config import schema
from switchgear.core.errors import UserError


def configured(name, **more):
    return build(name, schema.Provider(**more))


def test_a_name_of_the_catalogue_at_its_own_address_is_not_asked_about():
    place.check(configured("openai"), "default", None, False)


@pytest.mark.parametrize(
    "more",
    [
        {"base_url": "http://127.0.0.1:8000/v1", "allow_private": True},
        {"base_url": "https://api.openai.com.evil.example/v1"},
        {"passthrough": ["POST /organization/admin_api_keys"]},
        {"allow_private": True},
        {"auth": "query"},
    ],
)
def test_C4_a_name_of_the_catalogue_at_another_place_is_refused_unless_confirmed(more):
    with pytest.raises(UserError) as refused:
        place.check(configured("openai", **more), "default", None, False)
    assert refused.value.exit_code == 2
    assert "would go to" in str(refused.value)
    with pytest.raises(UserError, match="would go to"):  # a script with --yes has seen no address
        place.check(configured("openai", **more), "default", None, True)
    spec = configured("openai", **more)
    place.check(spec, "default", spec.place("default").url, True)


@pytest.mark.parametrize(
    "host",
    [
        "api.op\u0435nai.com",
        "api.openai.com@evil.example",
        "0x7f000001",
        "api.openai.com/v1?x=",
        "a b",
        "api.openai.com\\",
    ],
)
def test_C4_an_address_that_deceives_is_refused(host):
    spec = configured("local", dialect="openai", base_url="https://ai.example.com/v1")
    spec = msgspec.structs.replace(spec, endpoint=msgspec.structs.replace(spec.endpoint, host=host))
    for yes in (True, False):
        with pytest.raises(UserError, match="is at no address"):
            place.check(spec, "default", None, yes)


def test_C4_an_own_provider_is_sealed_for_when_its_address_is_said():
    spec = configured("local", dialect="openai", base_url="https://ai.example.com/v1")
    with pytest.raises(UserError, match=r"https://ai\.example\.com/v1"):
        place.check(spec, "default", None, False)
    place.check(spec, "default", "https://ai.example.com/v1/", False)
    place.check(spec, "default", None, True)
    with pytest.raises(UserError, match="not at"):
        place.check(spec, "default", "https://ai.example.org/v1", False)


def test_raw_paths_of_a_credentials_place_are_named_before_it_is_sealed():
    spec = configured("local", dialect="openai", base_url="https://ai.example.com/v1", passthrough=["GET /files*"])
    assert place.describe(spec.place("default")) == ["https://ai.example.com/v1", "raw paths: GET /files*"]
    with pytest.raises(UserError):
        place.check(spec, "default", "https://ai.example.com/v1", False)
