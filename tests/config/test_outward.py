"""The section `courier`: what may stand in it, and that a file can say all that was compiled."""

import pytest

from switchgear.config import outward, schema
from switchgear.providers import endpoint

PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
FILES = {"ca.pem": PEM, "empty.pem": ""}


def problems(proxy=None, **destinations):
    made = {name: schema.Destination(**spec) for name, spec in destinations.items()}
    return dict(outward.check(schema.Courier(proxy=proxy, destinations=made), FILES.get))


@pytest.mark.parametrize(
    ("spec", "at"),
    [
        ({}, ""),
        ({"url": "https://a.example", "relay": "tls://a.example:1"}, ""),
        ({"url": "https://a.example", "webhook": "https://a.example"}, ""),
        ({"webhook": "https://a.example"}, ".secret"),
        ({"webhook": "http://a.example", "secret": "x"}, ".webhook"),
        ({"webhook": "https://a.example", "secret": "x", "auth": "bearer"}, ".auth"),
        ({"url": "http://a.example"}, ".url"),
        ({"url": "https://user@a.example"}, ".url"),
        ({"url": "https://a.example?x=1"}, ".url"),
        ({"url": "ftp://a.example"}, ".url"),
        ({"url": "https://a.example", "auth": "sigv4"}, ".auth"),
        ({"url": "https://a.example", "auth": "bearer"}, ".secret"),
        ({"url": "https://a.example", "ca_file": "gone.pem"}, ".ca_file"),
        ({"url": "https://a.example", "ca_file": "empty.pem"}, ".ca_file"),
        ({"relay": "tls://db.example"}, ".relay"),
        ({"relay": "tls://db.example:70000"}, ".relay"),
        ({"relay": "https://db.example:5432"}, ".relay"),
        ({"relay": "tls://a@db.example:5432"}, ".relay"),
        ({"relay": "tcp://db.example:5432"}, ".relay"),
    ],
)
def test_a_destination_that_cannot_be_used_is_a_problem_at_its_key(spec, at):
    assert list(problems(there=spec)) == [f"courier.destinations.there{at}"]


def test_a_name_that_is_none_and_too_many_destinations_are_problems():
    assert list(problems(**{"No Name": {"url": "https://a.example"}})) == ["courier.destinations.No Name"]
    many = {f"d{number}": {"url": "https://a.example"} for number in range(65)}
    assert list(problems(**many)) == ["courier.destinations"]


@pytest.mark.parametrize(
    "proxy", ["proxy.example:3128", "https://proxy.example:3128", "http://proxy.example/x", "http://"]
)
def test_a_proxy_that_is_none_is_a_problem(proxy):
    assert list(problems(proxy)) == ["courier.proxy"]


@pytest.mark.parametrize(
    "spec",
    [
        {"url": "https://api.osv.dev"},
        {"url": "https://a.example:8443/v1", "ca_file": "ca.pem", "allow_private": True},
        {"url": "http://10.0.0.1/hook", "allow_private": True},
        {"url": "https://a.example", "auth": "header:x-token"},
        {"relay": "tls://db.example:5432"},
        {"relay": "tcp://[fd00::1]:5432", "allow_private": True},
    ],
)
def test_a_good_destination_is_compiled_and_can_be_written_again(spec):
    given = schema.Destination(**spec)
    wrong = problems(there=spec)
    assert list(wrong) == (["courier.destinations.there.secret"] if "auth" in spec else [])
    compiled = outward.destination("there", given, "proxy.example:3128", FILES.get)
    assert compiled.purpose == ("request" if given.url else "relay")
    assert compiled.endpoint.allow_private == given.allow_private
    written = outward.document((compiled,))
    assert written["proxy"] == "http://proxy.example:3128"
    again = schema.Destination(**written["destinations"]["there"])
    assert outward.destination("there", again, "proxy.example:3128", FILES.get) == compiled


def test_ipv6_proxies_are_written_in_brackets():
    assert endpoint.proxy_of("http://[::1]:3128") == "[::1]:3128"
    assert endpoint.proxy_of("http://proxy.example") == "proxy.example:80"
