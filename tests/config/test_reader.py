"""Reading a configuration: strict, with every problem at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config.reader import Reader


def read(text, env=None):
    reader = Reader(lambda kind, name: (env or {}).get(name))
    node = reader.compose(text, "x.yaml")
    config = reader.read(node) if node is not None else None
    return config, [(p.line, p.path, p.message) for p in reader.problems]


def test_all_problems_come_at_once_with_line_and_suggestion():
    _, problems = read("wrokers: 3\nlisten:\n  data: [1]\nmodels:\n  a: {alias: b}\n  a: {alias: c}\nteams: {}\n")
    lines = {line for line, _, _ in problems}
    assert lines == {1, 3, 6, 7}
    assert any("did you mean 'workers'" in message for _, _, message in problems)
    assert any("stands twice (first in line 5)" in message for _, _, message in problems)
    assert any("not supported by this version" in message for _, _, message in problems)


def test_scalars_mean_what_the_schema_says():
    config, problems = read("keys:\n  no: {sha256: 1234, expires: 2027-01-01}\nworkers: 2\nx-anchors: [1]\n")
    assert not problems
    assert config.keys["no"].sha256 == "1234"
    assert config.keys["no"].expires == "2027-01-01"


@pytest.mark.parametrize(
    "text", ["workers: two", "workers: '2'", "workers: 1.5", "workers: true", "- a", "a: [", "a: !x 1"]
)
def test_wrong_values_are_problems(text):
    assert read(text)[1]


def test_secrets_come_by_reference_only():
    text = "providers: {openai: {credentials: [{secret: %s}]}}"
    config, problems = read(text % "{env: K}", {"K": "sk-x\n"})
    assert not problems
    assert config.providers["openai"].credentials[0].secret.reveal() == b"sk-x"
    assert "may not stand in the file" in read(text % "sk-abc")[1][0][2]
    assert "sk-abc" not in str(read(text % "sk-abc")[1])


def test_any_text_may_be_a_reference():
    config, _ = read("listen: {data: {env: L}}", {"L": "127.0.0.1:1"})
    assert config.listen.data == "127.0.0.1:1"


def test_merge_keys_and_bombs_are_refused():
    assert read("a: &a {x: 1}\nlisten: {<<: *a}")[1]
    bomb = "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"x-{b}: &{b} [*{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    assert not read(bomb)[1]


@given(st.text(max_size=80))
def test_garbage_is_a_list_of_problems_or_a_configuration(text):
    config, problems = read(text)
    assert config is None or not problems or isinstance(problems, list)
