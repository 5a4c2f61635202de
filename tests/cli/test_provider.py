"""`switchgear provider`, asked of the admin API itself."""

import json

import msgspec
import pytest

from switchgear.cli import provider
from switchgear.config import schema
from switchgear.core.errors import UserError


def shown(served, *arguments):
    done = served.run("provider", *arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_provider_without_a_secret_is_added_sealed_and_callable_at_once(served):
    done = served.run(
        *("provider", "add", "local", "--dialect", "openai", "--base-url", "http://127.0.0.1:8000/v1"),
        *("--allow-private", "--auth", "none"),
    )
    assert done.exit_code == 0 and "added local (http://127.0.0.1:8000/v1)" in done.stdout, done.output
    (row,) = shown(served, "list")["providers"]
    assert (row["name"], row["dialects"], row["auth"], row["credentials"]) == ("local", ["openai"], "none", ["none"])
    assert [item.id for item in served.desk.link.box.list()] == ["local/none"]


def test_a_provider_with_a_secret_is_added_without_one(served):
    assert served.run("provider", "add", "openai").exit_code == 0
    assert shown(served, "show", "openai")["credentials"] == [] and served.desk.link.box.list() == []


def test_a_row_of_the_catalogue_takes_its_variables(served):
    """Azure's address: RESOURCE.openai.azure.com (Microsoft Learn, Azure OpenAI REST API reference; read 2026-11-26)."""
    assert served.run("provider", "add", "azure-eu", "--kind", "azure", "--resource", "acme-eu").exit_code == 0
    assert shown(served, "show", "azure-eu")["base_url"].startswith("https://acme-eu.openai.azure.com")


def test_a_proxy_and_header_fields_are_part_of_where_a_provider_is(served):
    fields = ("--header", "OpenAI-Organization=org-1", "--header", "x-note=a=b")
    assert served.run("provider", "add", "openai", "--proxy", "http://proxy.internal:3128", *fields).exit_code == 0
    place = served.desk.run(served.desk.services.publication.all_providers)["openai"].endpoint
    assert place.proxy == "proxy.internal:3128"
    assert place.headers == (("openai-organization", "org-1"), ("x-note", "a=b"))


def test_a_provider_is_removed_with_its_credentials(served):
    served.run(
        *("provider", "add", "local", "--dialect", "openai", "--base-url", "http://127.0.0.1:1/v1"),
        *("--allow-private", "--auth", "none"),
    )
    assert served.run("provider", "remove", "local", "--yes").exit_code == 0
    assert shown(served, "list")["providers"] == [] and served.desk.link.box.list() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("add", "Bad Name"), "is not a name"),
        (("add", "x", "--set", "role_arn"), "must be NAME=VALUE"),
        (("add", "openai", "--header", "x-team"), "must be NAME=VALUE"),
        (("add", "openai", "--header", "x-team=a", "--header", "x-team=b"), "stands twice"),
        (("add", "openai", "--header", "host=evil.example"), "the gateway's to write"),
        (("add", "openai", "--header", "authorization=Bearer x"), "`credentials`"),
        (("add", "openai", "--proxy", "socks5://a:1"), "proxy"),
        (("add", "x", "--dialect", "openai", "--base-url", "http://10.0.0.1/v1"), "private"),
        (("add", "x", "--dialect", "openai", "--base-url", "ftp://a.example"), "http"),
        (("add", "nobody-knows-it"), "base"),
        (("add", "azure-eu", "--kind", "azure"), "resource"),
        (("add",), "a name is needed"),
        (("remove", "none", "--yes"), "none"),
        (("show", "opnai"), "there is no provider"),
    ],
)
def test_a_command_that_cannot_be_done_is_refused_with_the_reason(served, arguments, words):
    done = served.run("provider", *arguments)
    assert isinstance(done.exception, UserError) and words in f"{done.exception} {done.exception.hint}", done.exception
    assert shown(served, "list")["providers"] == []


def test_an_unknown_name_is_refused_with_the_nearest_one(served):
    served.run("provider", "add", "openai")
    assert "openai" in str(served.run("provider", "show", "opnai").exception)


def test_an_empty_list_names_the_command_that_adds_one(served):
    assert "switchgear credential add" in served.run("provider", "list").stdout


def test_a_certificate_that_cannot_be_read_is_refused(tmp_path):
    spec = schema.Provider(dialect="openai", base_url="https://a.example/v1", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(UserError, match="cannot be read"):
        provider.build("x", spec)


def test_a_certificate_goes_with_its_provider(tmp_path):
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n")
    spec = schema.Provider(dialect="openai", base_url="https://a.example/v1", ca_file=str(tmp_path / "ca.pem"))
    assert b"BEGIN CERTIFICATE" in msgspec.json.encode(provider.build("x", spec))
