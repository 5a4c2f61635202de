"""The tree of exceptions is drawn in its docstring."""

import inspect

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
