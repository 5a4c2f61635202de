"""Every flag of `serve` has a variable, and the documentation lists both."""

import re
from pathlib import Path

import click
import pytest

from switchgear.cli.serve import LOOPBACK, _networks, serve
from switchgear.core.errors import UserError

DOCUMENT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
ROWS = dict(re.findall(r"^\| `(SWITCHGEAR_[A-Z_]+)` \| `?(--[a-z-]+|none)", DOCUMENT, re.M))


def flags():
    return {
        option.opts[0]: option.envvar
        for option in serve.params
        if isinstance(option, click.Option) and option.name != "help"
    }


def test_every_flag_has_a_variable_that_is_documented():
    assert {flag: name for flag, name in flags().items() if ROWS.get(name) != flag} == {}


def test_every_documented_variable_is_read_by_the_program():
    source = "".join(path.read_text() for path in (Path(__file__).parents[2] / "src" / "switchgear").rglob("*.py"))
    assert {name for name in ROWS if f'"{name}"' not in source} == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, []), ("", []), ("0", []), ("1", LOOPBACK.split(",")), ("true", LOOPBACK.split(",")),
     ("10.0.0.0/8, ::1/128", ["10.0.0.0/8", "::1/128"])],
)  # fmt: skip
def test_proxies_are_networks_or_yes_or_no(text, expected):
    assert _networks(text) == expected


def test_a_malformed_proxy_network_is_refused_by_its_option():
    with pytest.raises(UserError, match="behind-tls-proxy"):
        _networks("10.0.0.1/8")
