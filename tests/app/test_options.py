"""What `serve` may be told: an option of the command for each, with the same defaults."""

import click
import msgspec

from switchgear.app.options import Options
from switchgear.cli.serve import serve

NAMES = {"drain_grace_s": "drain_grace", "drain_s": "drain_seconds", "banner": "quiet", "log": "log_level"}
NOT_OFFERED = {"segment_bytes"}
"""For tests."""


def test_each_option_of_the_program_is_one_of_the_command():
    offered = {parameter.name: parameter for parameter in serve.params if isinstance(parameter, click.Option)}
    fields = {field.name for field in msgspec.structs.fields(Options)} - NOT_OFFERED
    assert {NAMES.get(name, name) for name in fields} <= offered.keys()
    for name in ("drain_grace_s", "drain_s"):
        assert offered[NAMES[name]].default == getattr(Options(), name)
