"""Reading a configuration: strict, with every problem at once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.config import document
from switchgear.config.compile import Compiler
from switchgear.config.reader import Reader


def read(text, env=None):
    reader = Reader(lambda kind, name: (env or {}).get(name))
    node = reader.compose(text, "x.yaml")
    config = reader.read(node) if node is not None else None
    return config, [(p.line, p.path, p.message) for p in reader.problems]


def test_all_problems_come_at_once_with_line_and_suggestion():
    _, problems = read("wrokers: 3\nlisten:\n  data: [1]\nmodels:\n  a: {alias: b}\n  a: {alias: c}\nprivacy: {}\n")
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_list: []", "switchgear import litellm FILE"),
        ("general_settings: {}", "switchgear import litellm FILE"),
        ("pricing: {overrides: {a/b: {output: 1}}}", "did you mean 'output_per_mtok'"),
        ("a:\n  b: 1\n c: 2\n", "indented"),
        ("a: \x01", "control characters are not allowed"),
    ],
)
def test_a_habit_of_another_product_is_refused_with_what_to_write(text, said):
    messages = [problem[2] for problem in read(text)[1]]
    assert any(said in message for message in messages) and "unicode string" not in str(messages), messages


def test_any_text_may_be_a_reference():
    config, _ = read("listen: {data: {env: L}}", {"L": "127.0.0.1:1"})
    assert config.listen.data == "127.0.0.1:1"


def test_merge_keys_and_bombs_are_refused():
    assert read("a: &a {x: 1}\nlisten: {<<: *a}")[1]
    bomb = "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"x-{b}: &{b} [*{a}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
    )
    assert not read(bomb)[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models:\n\ta: openai/x\n", "line 2 is indented with a tab"),
        ("a: &a {x: 1}\nlisten: {<<: *a}", "merge keys (<<) are not in YAML 1.2"),
        ("workers: 1\n---\nworkers: 2\n", "a second document begins here"),
        ("models: {a: *b}", "undefined alias"),
        ("models:\n  a: b: c\n", "needs quotes, or the indentation is wrong"),
        ("workers: !!python/name:os.system 1", "tag"),
        ("workers: '2'", "without quotes"),
        ("[" * 60_000, "nested over"),
        ("models: " + "{a: " * 30 + "1" + "}" * 30, "nested over"),
        ("providers: {openai: {sealed: true}}", "belongs to providers.NAME.credentials[]"),
        ("providers: {openai: {ceilings: {concurrency: 1}}}", "belongs to providers.NAME.credentials[]"),
        ("providers: {openai: {api_key: {env: K}}}", "credentials: [{name: NAME, secret: {env: VARIABLE}}]"),
        ("providers: {x: {url: 'https://a.b'}}", "called 'base_url' here"),
        ("keys: {a: {budget: {limits: 5/day}}}", "did you mean 'limit'?"),
        ("store: {url: {env: DATABASE_URL}}", "a database server is not supported by this version"),
        ("tls: {cert: a, key: b}", "belongs to listen"),
        ("listen: {tls: {certificate: a, key: b}}", "known are cert, key"),
        ("listen: {tls: {key: b}}", "the key 'cert' is missing"),
    ],
)
def test_messages_say_what_to_do(text, expected):
    _, problems = read(text)
    assert any(expected in message for _, _, message in problems), problems
    assert all(line > 0 for line, _, _ in problems)


def test_numbers_of_yaml_12_core():
    config, problems = read(
        "limits: {connections_max: 0x10, body_bytes_max: 1_048_576, headers_max: 0o20, head_s: 1e1}"
    )
    assert not problems
    limits = config.limits
    assert (limits.connections_max, limits.body_bytes_max, limits.headers_max, limits.head_s) == (16, 1_048_576, 16, 10)


def test_anchors_that_multiply_are_bounded():
    text = "x-a: &a {secret: {env: K}}\nx-b: &b [" + ", ".join(["*a"] * 600) + "]\nproviders:\n"
    text += "".join(f"  p{n}: {{credentials: *b}}\n" for n in range(600))
    _, problems = read(text, {"K": "x"})
    assert any("anchors that multiply" in message for _, _, message in problems)


def test_one_wrong_value_leaves_the_rest_readable():
    config, problems = read("workers: many\nlimits: {head_s: 3, url_bytes_max: [1]}\nmodels: {a: [], b: openai/x}\n")
    assert {path for _, path, _ in problems} == {"workers", "limits.url_bytes_max", "models.a"}
    assert (config.limits.head_s, config.models["b"]) == (3, "openai/x")


def test_messages_steer_no_terminal_and_show_no_long_values():
    reader = Reader(lambda kind, name: None)
    reader.read(reader.compose('"\\e[31mred": 1\nworkers: ' + "x" * 10_000 + "\n", "x.yaml"))
    text = "\n".join(map(str, reader.problems))
    assert "\x1b" not in text
    assert len(text) < 1_000


SAMPLE = """
version: 1
include: [a.yaml]
listen: {data: "127.0.0.1:1", tls: {cert: a, key: b}, trusted_proxies: [10.0.0.0/8]}
limits: {head_s: 2.5}
providers: {openai: {kind: openai, credentials: [{name: a, secret: {env: K}, ceilings: {concurrency: 1}}], passthrough: ["GET /a"]}}
models: {implicit: false, a: openai/x, b: {alias: a}, c: {deployments: [{provider: openai, model: m, price: {input_per_mtok: 1}}]}}
keys: {k: {sha256: ab, models: [a], expires: 2027-01-01, keyed: ["1:ab"]}}
pricing: {overrides: {openai/x: free}, discount: {openai: 1%}}
"""
PIECES = [
    "[]",
    "{}",
    "null",
    "1",
    "'",
    "a",
    "*",
    "&a",
    ": ",
    "\n",
    "-",
    "true",
    "{env: K}",
    "\0",
    "é",
    ".nan",
    "9" * 400,
]


@given(st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.integers(0, 30), st.sampled_from(PIECES)), max_size=6))
def test_a_broken_part_of_a_configuration_leaves_the_rest_checked(cuts):
    text = SAMPLE
    for at, length, piece in cuts:
        text = text[:at] + piece + text[at + length :]
    reader = Reader(lambda kind, name: "found")
    config = reader.read(reader.compose(text, "x.yaml"))
    compiler = Compiler(config, reader, lambda path: None, now_ms=1)
    compiled = compiler.compile()
    assert reader.problems or compiler.problems or document.of(compiled)


@given(st.text(max_size=80))
def test_garbage_is_a_list_of_problems_or_a_configuration(text):
    config, problems = read(text)
    assert config is None or not problems or isinstance(problems, list)
