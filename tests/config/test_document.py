"""A configuration written out and read again is the same; differences are told by place."""
# ruff: noqa: UP031  braces are YAML's here

import msgspec
import pytest
import yaml

from switchgear.config import document, schema
from switchgear.config.compile import (
    Compiled,
    Compiler,
    FileKey,
    KeyedHash,
    Process,
    ProviderSpec,
    build_provider,
    check_compiled,
    check_provider,
)
from switchgear.config.outward import DestinationSpec
from switchgear.config.reader import Reader
from switchgear.providers.catalogue import GENERIC, PROVIDERS
from switchgear.providers.endpoint import parse
from switchgear.routing.table import ModelEntry

WHOLE = """
listen: {data: "0.0.0.0:443", console: "127.0.0.1:1", tls: {cert: /c.pem, key: /k.pem}, trusted_proxies: [10.0.0.0/8]}
workers: 3
limits: {head_s: 2.5, connections_max: 100}
spool: {durability: power}
providers:
  openai: {credentials: [{name: prod, secret: {env: K}, budget: 99 total, ceilings: {concurrency: 5, requests_per_s: 9}}, {name: b, sealed: true}]}
  azure-eu: {kind: azure, resource: acme-eu, api_version: "2025-04-01-preview", credentials: [{name: p, secret: {file: /s}}]}
  azure-us: {kind: azure, resource: acme-us, credentials: [{name: p, sealed: true}]}
  aws: {kind: bedrock, region: eu-central-1, credentials: [{name: r, auth: instance_role}, {name: k, sealed: true}]}
  vertex: {project: acme, location: europe-west4, credentials: [{name: sa, sealed: true}]}
  behind: {dialect: openai, base_url: "https://b.example/v1", proxy: "http://proxy.acme.example:3128", headers: {x-team: ml}, credentials: [{name: k, sealed: true}]}
  anywhere: {kind: vertex, project: acme, location: global, credentials: [{name: sa, sealed: true}]}
  claude: {kind: vertex-anthropic, project: acme, location: eu, auth: workload_identity, auth_parameters: {audience: a, token: t}}
  local: {dialect: responses, base_url: "http://10.0.0.1:8000/v1", allow_private: true, auth: none, own: true, pricing: openai,
          rpm: 600, parallel: 40, labels: {region: eu}, team: t}
  odd: {dialect: openai, base_url: "https://a.example/x", auth: "header:x-token", max_tokens: max_completion_tokens,
        stream_usage: false, drop: [seed], passthrough: ["GET /files*"], credentials: [{name: d, sealed: true}]}
models:
  implicit: false
  plain: openai/gpt-4o
  quick: {alias: fast}
  "any/*": openai/*
  fast:
    deployments:
      - {provider: azure-eu, model: d, credential: p, tier: 2, tpm: 9000, limits: [9 requests/second], budget: 7/week, price: {input_per_mtok: 0.15, output_per_mtok: 0.6, per_image: 0.04}}
      - {provider: local, model: q, price: free, weight: 2.5, labels: {region: uk},
         when: {tags: [a], keys: [ci], teams: [t], tokens_min: 1, tokens_max: 9, needs: [tools], without: [images]}}
      - {provider: local, model: r, price: free, canary: 5%%, rpm: 60, share: {ci: 60%%, t: 12.5%%}}
    fallback: [plain]
    team: root
    strict: true
    fallback_on: {context_length: [plain]}
    require: {region: eu|uk}
    retry: {max: 2, on: [connect, 503], backoff_s: 0.5}
    breaker: {failures: 3, error_rate: 12.5%%, requests_min: 9, probe_s: 30}
    hedge: {after_s: 1.5}
    timeouts: {idle_s: 9}
    price: {output_per_mtok: 3}
    drop: [logit_bias, generationConfig.topK]
    defaults: {max_tokens: 4096}
    cache: {ttl: 600s}
    ceilings: {output_tokens: 4096, effort: medium, thinking_tokens: 2048, service_tier: default|flex, provider_tools: off, cost: "0.5", over: refuse}
    rpm: 60
    tpm: 100000
    parallel: 7
    budget: [{limit: 9000 tokens/day, name: cap, hard: false, hour: 6, timezone: Asia/Tokyo}, 3/week per end_user]
    limits: [5000 requests/day, 20 output tokens/hour per end_user]
teams:
  root: {rpm: 600, models: [fast], budget: 500/month, require: {region: eu}, expires: 2028-01-31, cidrs: [10.0.0.0/8]}
  t: {parent: root, cost_center: "4711", profile: std, tags: [x], limits: [5 requests/day], passthrough: ["odd GET /files*"]}
users: {u: {profile: std, cost_center: "1", tpm: 5, cache: {ttl: off}, ceilings: {output_tokens: 4096, effort: low}}, other: {}}
projects: {p: {team: t, cost_center: "2", parallel: 3}}
profiles: {std: {pot: key, budget: [{limit: 5/day, soft: 80%%}]}}
keys:
  ci: {sha256: "%s", team: t, user: u, project: p, profile: std, models: [fast, quick], cidrs: [10.0.0.0/8], expires: 2027-01-31, tags: [a, b],
       passthrough: ["odd GET /files*"], rpm: 5, tpm: 6, parallel: 7, limits: [4 requests/hour per user], budget: [5/day, {limit: 500/month, soft: 80%%, on_spent: {route: quick}, models: ["@premium"], day: 15}], require: {zdr: "yes"}, cache: {ttl: off}}
  moved: {keyed: ["1:%s", "2:%s until 2027-01-01T00:00:00Z"]}
pricing:
  overrides: {openai/x: {cache_read_per_mtok: 0.000000001, input_per_mtok: 1}, local/q: free}
  discount: {openai: 12.5%%, local: 10%%}
defaults: {unpriced: refuse_all, overrun: finish}
organisation: {rpm: 9000, limits: [9 parallel requests], budget: 900/month per end_user}
model_sets: {premium: ["openai/*"]}
courier: {destinations: {hooks: {webhook: "https://a.example/x", secret: {env: W}}}}
alerts: [{destination: hooks, subjects: ["key:*"]}]
timezone: Europe/Berlin
retention: {ledger_days: 30, journal_hours: 48}
compat: [litellm]
""" % ("ab" * 32, "cd" * 32, "ef" * 32)


def compile_(text):
    reader = Reader(lambda kind, name: "sk-a-secret")
    config = reader.read(reader.compose(text, "x.yaml"))
    compiler = Compiler(config, reader, lambda path: None)
    compiled = compiler.compile()
    assert [*reader.problems, *compiler.problems] == []
    return compiled, config


def written(compiled):
    notes = []
    text = yaml.dump(document.of(compiled, notes), Dumper=yaml.CSafeDumper, sort_keys=False)
    assert notes == []
    return text


def leaves(value, path=()):
    """Walk any value by attribute, key and number: a way to compare that knows nothing of documents."""
    if hasattr(value, "__struct_fields__"):
        return {k: v for n in value.__struct_fields__ for k, v in leaves(getattr(value, n), (*path, n)).items()}
    if isinstance(value, dict):
        return {k: v for n, inner in value.items() for k, v in leaves(inner, (*path, n)).items()} or {path: {}}
    if isinstance(value, list | tuple):
        return {k: v for n, inner in enumerate(value) for k, v in leaves(inner, (*path, n)).items()} or {path: ()}
    return {path: value}


def test_a_whole_configuration_written_out_compiles_to_the_same():
    compiled, _ = compile_(WHOLE)
    text = written(compiled)
    assert "sk-a-secret" not in text
    again, _ = compile_(text)
    assert leaves(again) == leaves(compiled)


def test_the_whole_configuration_of_these_tests_uses_every_key():
    _, config = compile_(WHOLE)
    used = {".".join(str(p) for p in path if isinstance(p, str)) for path in leaves(config)}
    ends = {path.rpartition(".")[2] for path in used}
    elsewhere = {"version", "include", "store", "ca_file", "account", "secret"}

    def keys(kind):
        for field in msgspec.structs.fields(kind):
            yield field.name

    kinds = (
        schema.Config,
        schema.Provider,
        schema.Model,
        schema.Deployment,
        schema.Key,
        schema.Credential,
        schema.Defaults,
    )
    default = {name for kind in kinds for name in keys(kind)} - elsewhere - ends
    assert not {name for name in default if not any(f".{name}." in f".{path}." for path in used)}
    changed = set()
    for field in msgspec.structs.fields(schema.Model):
        value = getattr(config.models["fast"], field.name)
        other = getattr(config.models["quick"], field.name)
        if value != other:
            changed.add(field.name)
    assert changed | {"strategy"} >= {f.name for f in msgspec.structs.fields(schema.Model)}


@pytest.mark.parametrize("row", [*PROVIDERS.values()], ids=lambda row: row.name)
def test_every_provider_of_the_catalogue_survives(row):
    variables = {
        name: f"{name}-1".replace("_", "-")
        for name in ("resource", "region", "project", "location", "account")
        if "{" + name + "}" in row.base_url
    }
    for name in (row.name, "another-name"):
        spec = build_provider(name, schema.Provider(kind=row.name, **variables))
        notes = []
        found = msgspec.convert(document.provider(spec, notes), schema.Provider)
        assert build_provider(name, found) == spec
        assert not notes


@pytest.mark.parametrize("dialect", GENERIC)
def test_every_plain_dialect_survives(dialect):
    spec = build_provider("mine", schema.Provider(dialect=dialect, base_url="https://a.example:8443/p"))
    assert build_provider("mine", msgspec.convert(document.provider(spec, []), schema.Provider)) == spec


def test_a_certificate_of_a_private_authority_is_written_out():
    pem = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
    spec = build_provider("mine", schema.Provider(base_url="https://a.example", ca_file="x.pem"), lambda path: pem)
    assert build_provider("mine", msgspec.convert(document.provider(spec, []), schema.Provider)) == spec


def test_differences_are_told_by_place():
    old, _ = compile_(
        "models: {a: openai/x, b: openai/y}\nproviders: {openai: {credentials: [{name: p, sealed: true}]}}"
    )
    new, _ = compile_(
        "models: {a: openai/z, c: openai/y}\nproviders: {openai: {credentials: [{name: q, sealed: true}]}}\nworkers: 2"
    )
    found = document.changes(document.of(old), document.of(new))
    assert [str(change) for change in found] == [
        "providers.openai.credentials[p]: removed",
        "providers.openai.credentials[q]: added",
        "models.a: openai/x → openai/z",
        "models.b: removed (openai/y)",
        "models.c: added (openai/y)",
        "workers: added (2)",
    ]
    assert document.summary(found) == "providers ~1, models +1 -1 ~1, workers +1"
    assert document.changes(document.of(old), document.of(old)) == []
    priced, _ = compile_(
        "models: {a: openai/x, b: openai/y}\npricing: {overrides: {openai/x: free}, discount: {openai: 1%}}"
    )
    new_ones = document.changes(document.of(compile_("models: {a: openai/x, b: openai/y}")[0]), document.of(priced))
    assert [str(change) for change in new_ones] == [
        "pricing.overrides.openai/x: added (free)",
        "pricing.discount.openai: added (1%)",
    ]
    assert document.summary([]) == "nothing"


def test_an_empty_configuration_is_an_empty_document():
    assert document.of(Compiled()) == {}


def test_names_that_lead_nowhere_are_left_out_and_noted():
    text = """
models:
  gone: nowhere/x
  half: {deployments: [{provider: nowhere, model: a}, {provider: openai, model: b}], fallback: [gone, fine.1]}
  none: {deployments: [{provider: nowhere, model: a}]}
  chain: {alias: none}
  fine.1: openai/x
keys: {k: {sha256: "%s", models: [gone, fine.1, chain]}}
pricing: {overrides: {nowhere/x: free, openai/x: free}}
""" % ("ab" * 32)
    reader = Reader(lambda kind, name: None)
    compiled = Compiler(reader.read(reader.compose(text, "x")), reader, lambda path: None).compile()
    before, notes = document.of(compiled), []
    found = document.sound(before, notes)
    assert found == {
        "models": {
            "half": {"deployments": [{"provider": "openai", "model": "b"}], "fallback": ["fine.1"]},
            "fine.1": "openai/x",
        },
        "keys": {"k": {"sha256": "ab" * 32, "models": ["fine.1"]}},
        "pricing": {"overrides": {"openai/x": "free"}},
    }
    assert len(notes) == 8
    assert "gone" in before["models"]
    reader = Reader(lambda kind, name: None)
    again = Compiler(reader.read(reader.compose(yaml.safe_dump(found), "x")), reader, lambda path: None)
    again.compile()
    assert again.problems == []


SPLIT = msgspec.structs.replace(parse("https://a.b"), headers=(("x-a", "b\r\nc: d"),))


@pytest.mark.parametrize(
    "made",
    [
        ProviderSpec(name="", dialects=(), endpoint=parse("https://a.b"), pricing_id=None),
        ProviderSpec(name="x", dialects=("soap",), endpoint=parse("https://a.b"), pricing_id=None),
        ProviderSpec(name="x", dialects=("openai",), endpoint=SPLIT, pricing_id=None),
        ProviderSpec(
            name="x", dialects=("openai",), endpoint=parse("https://a.b"), pricing_id=None, credentials=("A b",)
        ),
        ProviderSpec(name="x", dialects=("openai",), endpoint=parse("https://a.b"), pricing_id=None, auths={"a": "b"}),
        ModelEntry(name=""),
        FileKey(name="k", sha256="zz"),
        FileKey(name="k"),
        FileKey(name="k", keyed=(KeyedHash(pepper_id=1, mac="ab"),)),
        FileKey(name="K ", sha256="ab" * 32),
    ],
)
def test_a_compiled_value_that_no_compiler_makes_is_refused(made):
    kind = {ProviderSpec: "providers", ModelEntry: "models", FileKey: "keys"}[type(made)]
    compiled = Compiled(**{kind: (made,)})
    assert check_compiled(compiled) is not None
    notes = []
    document.sound(document.of(compiled, notes), notes)


def test_a_destination_that_no_compiler_makes_is_refused():
    one = DestinationSpec(name="osv", purpose="request", endpoint=SPLIT)
    assert "x-a" in check_compiled(Compiled(process=Process(destinations=(one,))))


@pytest.mark.parametrize(
    "provider",
    [
        {"auth": "header:x-acme-key"},
        {"credentials": [schema.Credential(name="k", sealed=True, auth="header:x-acme-key")]},
    ],
)
def test_a_header_of_every_request_is_not_the_one_that_presents_the_secret(provider):
    spec = schema.Provider(base_url="https://a.example", headers={"X-Acme-Key": "x"}, **provider)
    assert [at for at, _ in check_provider("mine", spec)] == ["headers.X-Acme-Key"]


def test_a_compiled_configuration_passes_its_check():
    assert check_compiled(compile_(WHOLE)[0]) is None
    twice = FileKey(name="k", sha256="ab" * 32)
    assert check_compiled(Compiled(keys=(twice, twice))) == "a name stands twice"


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        ({"limit": "5/day", "on_spent": {"route": "gone"}}, {"limit": "5/day"}),
        ([{"limit": "5/day", "models": ["gone", "local/m"]}], [{"limit": "5/day", "models": ["local/m"]}]),
        ([{"limit": "5/day", "models": ["gone"]}, "9/week"], ["9/week"]),
        ({"limit": "5/day", "models": ["gone"]}, None),
        ([{"limit": "5/day", "models": ["gone"]}], None),
    ],
)
@pytest.mark.parametrize("section", ["keys", "models"])
def test_a_budget_that_names_a_model_that_is_gone_is_exported_as_a_file_can_say_it(section, budget, left):
    holder = {"keys": {"sha256": "ab" * 32}, "models": {"deployments": [{"provider": "local", "model": "m"}]}}[section]
    providers = {"local": {"dialect": "openai", "base_url": "https://a.example/v1"}}
    notes = []
    found = document.sound({"providers": providers, section: {"k": {**holder, "budget": budget}}}, notes)
    assert found[section]["k"].get("budget") == left and found[section]["k"].keys() >= holder.keys()
    assert len(notes) == 1 and "there is no model 'gone'" in notes[0]
