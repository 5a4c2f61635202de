"""What children inherit of the environment."""

from switchgear.app.environment import clean_environment


def test_children_inherit_a_few_variables_and_no_loader_or_interpreter_settings():
    environ = {
        "PATH": "/bin",
        "LD_PRELOAD": "x",
        "PYTHONPATH": "y",
        "HTTPS_PROXY": "z",
        "OPENAI_API_KEY": "k",
        "TZ": "UTC",
    }
    found = clean_environment(environ)
    assert {name for name in found if not name.startswith("MALLOC_")} == {"PATH", "TZ"}
