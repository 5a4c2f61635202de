"""The tree of exceptions is drawn in its docstring."""

import inspect
from typing import Any

import msgspec
import pytest

from switchgear.core import errors


def test_the_drawing_names_every_class():
    classes = [name for name, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, Exception)]
    assert len(classes) <= 20
    assert all(name in errors.__doc__ for name in classes)


def test_a_config_error_lists_all_problems_and_exits_2():
    problem = errors.ConfigProblem(file="a.yaml", line=3, path="models.x", message="bad")
    error = errors.ConfigError([problem, problem])
    assert error.exit_code == 2
    assert str(error).count("a.yaml:3: models.x: bad") == 2


@pytest.mark.parametrize("data", [b'{"id":"a\xff"}', b'{"id":"\\ud800"}', b'{"id":1', b'{"id":1}', b"[" * 5_000])
def test_every_exception_of_a_decoder_is_an_unreadable(data):
    for kind in (dict[str, str], msgspec.Raw, Any):
        try:
            msgspec.json.decode(data, type=kind)
        except errors.UNREADABLE:
            continue
