"""Names that lead nowhere, circles, and what is declared for nothing."""
# ruff: noqa: UP031  braces are YAML's here

import pytest

from switchgear.config.compile import Compiler
from switchgear.config.names import Known
from switchgear.config.reader import Reader

HASH = "ab" * 32


def check(text, **more):
    reader = Reader(lambda kind, name: "found")
    config = reader.read(reader.compose(text, "x.yaml"))
    compiler = Compiler(config, reader, lambda path: None, **more)
    compiler.compile()
    return [*reader.problems, *compiler.problems], compiler.warnings


def told(found):
    return [f"{p.line} {p.path} {p.message}" for p in found]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("models: {a: {alias: b}, b: {alias: a}}", "models.a.alias", "circle: a → b → a"),
        ("models: {a: {alias: a}}", "models.a.alias", "circle: a → a"),
        ("models: {'a*': {alias: ax}}", "models.a*.alias", "circle"),
        ("models: {a: {alias: opnai/x}}", "models.a.alias", "did you mean 'openai'"),
        ("models: {implicit: false, a: {alias: openai/x}}", "models.a.alias", "`models.implicit` is false"),
        ("models: {a: {deployments: [{provider: opnai, model: x}]}}", "models.a.deployments[0].provider", "'openai'"),
        (
            "providers: {openai: {credentials: [{name: prod, sealed: true}]}}\n"
            "models: {a: {deployments: [{provider: openai, model: x, credential: prd}]}}",
            "models.a.deployments[0].credential",
            "did you mean 'prod'",
        ),
        (
            "models: {a: {deployments: [{provider: openai, model: x}], fallback: [zz]}}",
            "models.a.fallback[0]",
            "there is no model 'zz'",
        ),
        (
            "models: {a: {deployments: [{provider: openai, model: x}], fallback: [a]}}",
            "models.a.fallback[0]",
            "falls back to itself",
        ),
        (
            "models: {a: {deployments: [{provider: openai, model: x}], fallback: [b]}, b: {alias: a}}",
            "models.a.fallback[0]",
            "falls back to itself (through 'b')",
        ),
        (
            "models: {a: {alias: b, fallback: [b]}, b: openai/x}",
            "models.a.fallback",
            "an alias takes everything from 'b'",
        ),
        ("keys: {k: {sha256: %s, models: [nope]}}" % HASH, "keys.k.models[0]", "there is no model 'nope'"),
        ("keys: {k: {sha256: %s}, l: {sha256: %s}}" % (HASH, HASH.upper()), "keys.l.sha256", "'k' has the same hash"),
        ("keys: {k: {sha256: %s, passthrough: ['opnai GET /x']}}" % HASH, "keys.k.passthrough[0]", "'openai'"),
        ("pricing: {overrides: {opnai/x: free}}", "pricing.overrides.opnai/x", "did you mean 'openai'"),
        ("pricing: {overrides: {gpt: free}}", "pricing.overrides.gpt", "must be provider/model"),
        ("pricing: {discount: {opnai: 5%}}", "pricing.discount.opnai", "did you mean 'openai'"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error_with_its_line(text, path, message):
    problems, _ = check(text)
    assert any(p.path == path and message in p.message and p.line > 0 for p in problems), told(problems)
    assert len(problems) == 1, told(problems)


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("models: {a: openai/x, b: openai/y}\nkeys: {k: {sha256: %s, models: [a]}}" % HASH, "models.b", "no key"),
        ("models: {implicit: false}\nproviders: {openai: {}}", "providers.openai", "never called"),
        ("models: {a: openai/*}", "models.a", "has more * than"),
        ("providers: {openai: {region: eu, resource: x}}", "providers.openai.region", "no effect"),
        ("keys: {k: {sha256: %s, models: []}}" % HASH, "keys.k.models", "allows nothing"),
        ("keys: {k: {sha256: %s, models: ['zz*']}}" % HASH, "keys.k.models", "allows nothing"),
        ("providers: {mine: {base_url: 'https://a.b/v1', pricing: opnai}}", "providers.mine.pricing", "'openai'"),
        (
            "models: {a: {deployments: [{provider: openai, model: x}], fallback: [b]},"
            " b: {deployments: [{provider: openai, model: y}], fallback: [a]}}",
            "models.a.fallback[0]",
            "fall back to each other",
        ),
    ],
)
def test_a_declaration_without_effect_is_a_warning(text, path, message):
    problems, warnings = check(text)
    assert not [p for p in problems if "secret" not in p.message]
    assert any(w.path == path and message in w.message for w in warnings), told(warnings)


@pytest.mark.parametrize(
    "text",
    [
        "models: {a: {alias: b}, b: openai/x}",
        "providers: {azure: {resource: r, api_version: '2024-10-21'}, bedrock: {region: eu-west-1}, b: {kind: bedrock,"
        " base_url: 'https://b.example', region: eu-west-1}, vertex: {project: p, location: global}}",
        "models: {a: {alias: 'openai/x'}}",
        "models: {'gpt-*': openai/*, quick: {alias: gpt-4o}}",
        "models: {'my-*': {alias: 'gpt-*'}, 'gpt-*': openai/*, 'a-*': {alias: 'openai/*'}}",
        "keys: {k: {sha256: %s, models: ['openai/*', '*']}}" % HASH,
        "models: {fast: openai/x}\nkeys: {k: {sha256: %s, models: ['fa*']}}" % HASH,
        "models: {a: {deployments: [{provider: openai, model: x, credential: added-later}]}}",
    ],
)
def test_a_name_that_leads_somewhere_is_no_problem(text):
    assert check(text) == ([], [])


def test_a_name_that_only_the_gateways_store_knows_is_no_problem():
    text = "models: {a: mine/x, b: {alias: theirs}}\nkeys: {k: {sha256: %s, models: [theirs, a, b]}}" % HASH
    assert len(check(text)[0]) == 3
    assert check(text, known=Known(providers=frozenset({"mine"}), models=frozenset({"theirs"}))) == ([], [])
    other = "models: {a: {deployments: [{provider: openai, model: x, credential: zz}]}}"
    assert check(other)[0] == []
    assert check(other, known=Known(credentials=frozenset({"openai/zz"}))) == ([], [])
    assert len(check(other, known=Known(credentials=frozenset()))[0]) == 1


def test_wrong_types_do_not_hide_wrong_names():
    problems, _ = check(
        """
wrokers: 3
limits: {head_s: soon, connections_max: -1}
providers:
  openai: {kind: opnai, dialect: soap, credentials: [{name: "A B", sealed: perhaps}]}
models:
  a: {alias: [b]}
  b: {alias: nowhere, strict: 3}
  c: {deployments: [{provider: nobody, model: x, tier: one}, {model: y}], strategy: wieghted}
keys:
  k: {sha256: zz, expires: someday, cidrs: [1.2.3.4/8], models: [nope]}
pricing: {discount: {openai: ten, nobody: 5%}}
defaults: {unpriced: maybe}
alerts: {}
""",
    )
    assert {p.path for p in problems} == {
        "wrokers", "limits.head_s", "limits.connections_max", "providers.openai.kind", "providers.openai.dialect",
        "providers.openai.credentials[0].name", "providers.openai.credentials[0].sealed", "models.a.alias", "models.b.alias",
        "models.b.strict", "models.c.deployments[0].provider", "models.c.deployments[0].tier", "models.c.deployments[1]",
        "models.c.strategy", "keys.k.sha256", "keys.k.expires", "keys.k.cidrs[0]", "keys.k.models[0]",
        "pricing.discount.openai", "pricing.discount.nobody", "defaults.unpriced", "alerts",
    }, told(problems)  # fmt: skip
    assert all(p.line > 0 for p in problems)


def test_many_problems_cost_what_their_number_says():
    # Suggestions compare names: without a bound two thousand wrong names among two thousand take four times as long as half.
    text = "models:\n" + "".join(f"  m{n}: {{alias: q{n}x}}\n" for n in range(300))
    problems, _ = check(text)
    assert sum("did you mean" in p.message for p in problems) <= 50
    assert len(problems) == 300


@pytest.mark.parametrize(
    ("budget", "path", "message"),
    [
        ("50 EUR/month", "budget", "budgets are in USD"),
        ("0/month", "budget", "above 0"),
        ("[5/day, 6/day]", "budget[1]", "give it a `name`"),
        ("{limit: 5/day, timezone: Mars/Olympus}", "budget", "is no time zone"),
        ("{limit: 5/day, hour: 25}", "budget.hour", "must lie between 0 and 23"),
        ('{limit: 5/day, models: ["@premum"]}', "budget.models[0]", "did you mean 'premium'?"),
        ("{limit: 5/day, on_spent: {route: cheep}}", "budget.on_spent.route", "did you mean 'cheap'?"),
    ],
)
@pytest.mark.parametrize("holder", ["keys.k", "organisation", "models.cheap", "providers.local"])
def test_a_budget_that_is_none_is_named_with_its_place(holder, budget, path, message):
    more = {
        "keys.k": f'keys: {{k: {{sha256: "{"ab" * 32}", budget: BUDGET}}}}',
        "organisation": "organisation: {budget: BUDGET}",
    }.get(holder, "")
    on = {name: ", budget: BUDGET" if holder == name else "" for name in ("models.cheap", "providers.local")}
    text = f"""
providers: {{local: {{dialect: openai, base_url: "http://127.0.0.1:1/v1", allow_private: true, auth: none{on["providers.local"]}}}}}
models: {{cheap: {{deployments: [{{provider: local, model: m}}]{on["models.cheap"]}}}}}
model_sets: {{premium: [cheap]}}
{more}
""".replace("BUDGET", budget)
    problems = {found.path: found.message for found in check(text)[0]}
    assert message in problems[f"{holder}.{path}"]
    assert len(problems) == 1


def on_spent(model, target, more=""):
    return f"{model}: {{deployments: [{{provider: openai, model: {model}}}], budget: {{limit: 5/day, on_spent: {{route: {target}}}}}{more}}}"


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (f"models: {{{on_spent('m', 'm')}}}", "models.m.budget.on_spent.route", "m → m"),
        (f"models: {{{on_spent('m', 'n')}, {on_spent('n', 'm')}}}", "models.m.budget.on_spent.route", "m → n → m"),
        (f"models: {{{on_spent('m', 'other')}, other: {{alias: m}}}}", "models.m.budget.on_spent.route", "m → m"),
        (
            'keys: {k: {sha256: "%s", models: [openai/*], budget: {limit: 5/day, on_spent: {route: cheap}}}}\n' % HASH
            + "models: {cheap: openai/x}",
            "keys.k.budget.on_spent.route",
            "is none of the `models` here",
        ),
        (
            "organisation: {budget: {limit: 5/day, models: [best]}}\nmodels: {best: {alias: good}, good: openai/x}",
            "organisation.budget.models[0]",
            "'best' is an alias, and what is served is counted by its own name: write 'good'",
        ),
        ("model_sets: {a: [best]}\nmodels: {best: {alias: openai/x}}", "model_sets.a[0]", "write 'openai/x'"),
    ],
)
def test_a_budget_that_stops_or_counts_nothing_is_an_error(text, path, message):
    (problem,) = check(text)[0]
    assert problem.path == path and message in problem.message, told([problem])


def test_a_chain_of_routes_that_ends_is_no_problem():
    text = f"models: {{{on_spent('m', 'n')}, {on_spent('n', 'openai/free')}}}"
    assert check(text)[0] == []


def test_sets_of_models_and_the_time_zone_are_checked():
    found = {p.path: p.message for p in check('model_sets: {a: ["@b", nowhere], b: []}\ntimezone: Europe/Berln')[0]}
    assert "is a set itself" in found["model_sets.a[0]"]
    assert "there is no model 'nowhere'" in found["model_sets.a[1]"]
    assert "did you mean 'Europe/Berlin'?" in found["timezone"]


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("teams: {research: {}}\nkeys: {a: {sha256: %s, team: reserch}}", "keys.a.team", "did you mean 'research'?"),
        ("teams: {a: {parent: b}}", "teams.a.parent", "there is no team 'b'"),
        ("teams: {a: {parent: b}, b: {parent: a}}", "teams.a.parent", "a part of itself: a → b → a"),
        ("teams: {a: {parent: a}}", "teams.a.parent", "a part of itself"),
        ("teams: {a: {}}\nprojects: {p: {team: x}}", "projects.p.team", "there is no team 'x'"),
        ("users: {u: {profile: x}}", "users.u.profile", "declare it under profiles"),
        ("keys: {a: {sha256: %s, profile: x}}", "keys.a.profile", "declare it under profiles"),
        ("teams: {a: {models: [nothing]}}", "teams.a.models[0]", "there is no model 'nothing'"),
        ("teams: {a: {rpm: 0}}", "teams.a.rpm", "must lie between"),
        ("teams: {a: {limits: [many]}}", "teams.a.limits[0]", "is no limit"),
        ("teams: {a: {budget: lots}}", "teams.a.budget", ""),
        ("profiles: {a: {pot: all}}", "profiles.a.pot", "person or key"),
        (
            "teams: {a: {}, b: {}}\nprojects: {p: {team: a}}\nkeys: {k: {sha256: %s, project: p, team: b}}",
            "keys.k.team",
            "belongs to the team 'a'",
        ),
        (
            "teams: {a: {}}\nmodels: {m: {deployments: [{provider: openai, model: x}], team: b}}",
            "models.m.team",
            "no team 'b'",
        ),
    ],
)
def test_what_keys_belong_to_exists_once_a_file_declares_any_of_it(text, path, message):
    problems, _ = check(text.replace("%s", "ab" * 32))
    assert [(one.path, message in one.message) for one in problems] == [(path, True)], told(problems)
    assert problems[0].line > 0


def test_a_file_that_declares_no_team_has_those_that_it_names():
    text = "keys: {a: {sha256: %s, team: t, user: u, project: p}}\nusers: {u: {}}" % ("ab" * 32)
    assert check(text)[0] == []
