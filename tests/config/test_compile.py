"""What types cannot check, and what comes out."""

import pytest

from switchgear.config import schema
from switchgear.config.compile import Compiler, build_provider, parse_listen, parse_time
from switchgear.config.reader import Reader


def compile_(text):
    reader = Reader(lambda kind, name: "sk-secret-value")
    config = reader.read(reader.compose(text, "x.yaml"))
    assert not reader.problems
    compiler = Compiler(config, reader, lambda path: None)
    return compiler.compile(), [(p.line, p.path, p.message) for p in compiler.problems], compiler


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: {a: {alias: fats}, fast: openai/x}", "did you mean 'fast'"),
        ("models: {a: opnai/x}", "did you mean 'openai'"),
        ("models: {a: nothing}", "must be provider/model"),
        ("models: {a: {}}", "either `alias` or `deployments`"),
        ("models: {a: {deployments: [{provider: openai, model: m, price: cheap}]}}", "must be `free`"),
        ("models: {a: {deployments: [{provider: openai, model: m, price: {input_per_mtok: x}}]}}", "not a decimal"),
        ("models: {a: {strategy: wieghted, deployments: [{provider: openai, model: m}]}}", "did you mean 'weighted'"),
        ("models: {a: {fallback_on: {context: [b]}, deployments: [{provider: openai, model: m}]}}", "no kind of error"),
        (
            "models: {a: {fallback_on: {content_policy: [zz]}, deployments: [{provider: openai, model: m}]}}",
            "no model 'zz'",
        ),
        ("models: {a: {retry: {on: [5x]}, deployments: [{provider: openai, model: m}]}}", "must be a status"),
        ("models: {a: {retry: {on: [conect]}, deployments: [{provider: openai, model: m}]}}", "did you mean 'connect'"),
        ("models: {a: {breaker: {error_rate: half}, deployments: [{provider: openai, model: m}]}}", "a percentage"),
        ("models: {a: {breaker: {probe_s: 0}, deployments: [{provider: openai, model: m}]}}", "between 1 and 3600"),
        ("models: {a: {require: {region: ''}, deployments: [{provider: openai, model: m}]}}", "1 to 64 printable"),
        ("models: {a: {deployments: [{provider: openai, model: m, weight: 0}]}}", "must lie between"),
        ("models: {a: {deployments: [{provider: openai, model: m, when: {needs: [image]}}]}}", "did you mean 'images'"),
        (
            "models: {a: {deployments: [{provider: openai, model: m, when: {tokens_min: 9, tokens_max: 8}}]}}",
            "no request has",
        ),
        ("models: {a: {deployments: [{provider: openai, model: m, when: {tags: []}}]}}", "lets nothing through"),
        ("models: {a: {retry: {max: 9}, deployments: [{provider: openai, model: m}]}}", "between 0 and 3"),
        ("models: {a: {fallback: [zz], deployments: [{provider: openai, model: m}]}}", "no model 'zz'"),
        ("keys: {a: {sha256: zz}}", "64 hex digits"),
        ("keys: {'A B': {sha256: zz}}", "is not a name"),
        ("keys: {a: {sha256: '%s', expires: someday}}" % ("0" * 64), "ISO 8601"),
        ("keys: {a: {sha256: '%s', cidrs: [1.2.3.4/40]}}" % ("0" * 64), "is not a network"),
        ("providers: {mine: {}}", "not in the catalogue"),
        ("providers: {openai: {credentials: [{name: a}]}}", "needs `secret"),
        ("providers: {openai: {credentials: [{name: a, sealed: true}, {name: a, sealed: true}]}}", "stands twice"),
        ("providers: {x: {base_url: 'http://a.com'}}", "not encrypted"),
        ("providers: {x: {kind: opnai}}", "did you mean 'openai'"),
        ("providers: {openai: {ca_file: missing.pem}}", "cannot be read"),
        ("pricing: {discount: {openai: ten}}", "percentage"),
        ("providers: {openai: {auth: bearr}}", "did you mean 'bearer'"),
        ("providers: {x: {dialect: openai, base_url: 'https://${H}/v1'}}", "write {env: NAME}"),
        (
            "models: {a: {strategy: roulette, deployments: [{provider: openai, model: m}]}}",
            "known are ordered, weighted",
        ),
        ("version: 2", "2 is not known"),
        ("listen: {data: here}", "HOST:PORT"),
        ("store: postgresql", "not supported"),
        ("workers: 0", "between 1 and 64"),
        ("defaults: {unpriced: maybe}", "refuse, refuse_all or allow"),
        ("spool: {durability: never}", "process or power"),
        ("retention: {ledger_days: 0}", "between 1 and"),
    ],
)
def test_a_mistake_is_a_problem_with_its_line(text, expected):
    _, problems, _ = compile_(text)
    assert any(expected in message for _, _, message in problems), problems
    assert all(line > 0 for line, _, _ in problems)


def test_one_mistake_is_one_problem():
    reader = Reader(lambda kind, name: None)
    config = reader.read(reader.compose("providers: {openai: {credentials: [{secret: sk-plain}]}}", "x.yaml"))
    compiler = Compiler(config, reader, lambda path: None)
    compiler.compile()
    assert [p.message.partition(":")[0] for p in (*reader.problems, *compiler.problems)] == ["a secret may not stand in the file"]  # fmt: skip


def test_a_configuration_with_every_section_compiles():
    compiled, problems, compiler = compile_(
        """
providers:
  openai: {credentials: [{name: prod, secret: {env: K}, ceilings: {concurrency: 5}}]}
  local: {dialect: openai, base_url: "http://127.0.0.1:8000/v1", allow_private: true, auth: none}
models:
  implicit: false
  gpt: openai/gpt-4o
  fast: {deployments: [{provider: local, model: q, tier: 2, price: free}, {provider: openai, model: m}], fallback: [gpt]}
  "openai/*": openai/*
keys: {ci: {sha256: "%s", models: [fast], expires: 2027-01-01}}
pricing: {overrides: {"local/q": {input_per_mtok: 0.1}}, discount: {openai: 12.5%%}}
"""
        % ("ab" * 32)
    )
    assert not problems
    assert compiled.implicit is False
    assert [p.name for p in compiled.providers] == ["openai", "local"]
    assert compiled.providers[1].credentials == ("none",)
    assert compiled.providers[0].ceilings["prod"].concurrency == 5
    assert compiled.discounts_bp == {"openai": 1250}
    assert compiled.keys[0].expires_ms == parse_time("2027-01-01")
    assert ("openai", "prod") in compiler.secrets
    assert b"sk-secret-value" not in repr(compiled).encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:1", ("127.0.0.1", 1)),
        ("a:80", None),
        ("1.2.3.4", None),
        ("1.2.3.4:99999", None),
    ],
)
def test_a_listen_address_is_read_as_host_and_port(text, expected):
    assert parse_listen(text) == expected


def test_a_catalogue_row_can_be_bent():
    spec = build_provider("eu", schema.Provider(kind="openai", base_url="https://eu.api.openai.com/v1"))
    assert spec.pricing_id == "openai@regional"
    assert spec.endpoint.host == "eu.api.openai.com"


def test_price_drop_and_defaults_of_a_model_reach_its_entry():
    text = """
models:
  fast:
    deployments: [{provider: openai, model: a}, {provider: openai, model: b, price: free}]
    price: {input_per_mtok: "0.15", output_per_mtok: "0.60"}
    drop: [logit_bias, generationConfig.topK, logit_bias]
    defaults: {max_tokens: 4096}
"""
    compiled, problems, _ = compile_(text)
    assert problems == []
    (entry,) = compiled.models
    assert entry.drop == ("logit_bias", "generationConfig.topK") and entry.max_tokens == 4096
    first, second = entry.deployments
    assert first.price.rates["input"].base == 150_000_000 and second.price.rates["input"].base == 0


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("{deployments: [{provider: openai, model: a}], drop: [messages]}", "models.m.drop[0]"),
        ("{deployments: [{provider: openai, model: a}], drop: ['a b']}", "models.m.drop[0]"),
        ("{deployments: [{provider: openai, model: a}], price: cheap}", "models.m.price"),
        ("{alias: openai/a, drop: [logit_bias]}", "models.m"),
    ],
)
def test_a_setting_that_a_model_cannot_change_is_a_problem_at_its_path(model, path):
    _, problems, _ = compile_(f"models:\n  m: {model}\n")
    assert [at for _, at, _ in problems] == [path]


def test_a_pattern_may_have_several_stars():
    compiled, problems, _ = compile_('models: {"*/gpt-*": "openai/*-gpt-*"}\n')
    assert problems == [] and compiled.models[0].name == "*/gpt-*"
