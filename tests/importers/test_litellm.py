# switchgear:allow-file: samples of what it finds
import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.cli.import_ import as_yaml, check
from switchgear.core.budget_rule import BudgetSpec
from switchgear.core.text import clean
from switchgear.importers.litellm import Importer
from switchgear.importers.litellm_parts import Database, KeyRow, Opened, TeamRow, UserRow

KEY = "a" * 64


def run(raw, database=None, opener=None, environ=None):
    return Importer(raw, database, opener, environ).run()


def entry(name="m", **params):
    return {"model_name": name, "litellm_params": params}


def models(found):
    return {name: msgspec.to_builtins(model) for name, model in found.config.models.items()}


def said(found, status="unsupported"):
    return {line.path: line.text for line in found.lines if line.status == status}


def test_a_model_with_a_key_from_the_environment():
    found = run({"model_list": [entry("fast", model="openai/gpt-4o-mini", api_key="os.environ/OPENAI_API_KEY")]})
    assert models(found)["fast"]["deployments"][0]["provider"] == "openai"
    assert found.environment == {("openai", "openai"): "OPENAI_API_KEY"} and found.secrets == {} and found.is_complete


def test_the_same_name_twice_becomes_two_deployments_and_one_credential():
    found = run(
        {
            "model_list": [
                entry("m", model="openai/a", api_key="os.environ/K", order=2),
                entry("m", model="openai/b", api_key="os.environ/K"),
            ]
        }
    )
    assert [d["tier"] for d in models(found)["m"]["deployments"]] == [2, 1]
    assert len(found.config.providers["openai"].credentials) == 1
    assert models(found)["m"]["strategy"] == "weighted", "simple-shuffle is LiteLLM's default"
    assert found.is_complete


@pytest.mark.parametrize(
    ("theirs", "ours", "status"),
    [
        ("simple-shuffle", "weighted", "imported"),
        ("least-busy", "least_busy", "imported"),
        ("latency-based-routing", "lowest_latency", "imported"),
        ("cost-based-routing", "lowest_cost", "imported"),
        ("usage-based-routing-v2", "least_busy", "changed"),
        ("of-tomorrow", "ordered", "unsupported"),
    ],
)
def test_a_routing_strategy_is_the_one_that_does_the_same(theirs, ours, status):
    two = [entry("m", model="openai/a", weight=3), entry("m", model="openai/b")]
    found = run({"model_list": [*two, entry("n", model="openai/c")], "router_settings": {"routing_strategy": theirs}})
    got = models(found)
    assert (got["m"]["strategy"], got["n"]["strategy"]) == (ours, "ordered"), "one deployment needs none"
    assert [d["weight"] for d in got["m"]["deployments"]] == [3.0, 1.0]
    assert "router_settings.routing_strategy" in said(found, status)
    assert check(as_yaml(found))[1] == []


def test_cooldowns_become_breakers():
    settings = {"allowed_fails": 3, "cooldown_time": 30}
    found = run({"model_list": [entry("m", model="openai/a")], "router_settings": settings})
    breaker = models(found)["m"]["breaker"]
    assert (breaker["failures"], breaker["probe_s"]) == (4, 30.0), (
        "it cools down when it fails more than allowed_fails times"
    )
    assert found.is_complete and "router_settings.allowed_fails" in said(found, "changed")


def test_fallbacks_for_one_kind_of_error_stay_so():
    raw = {
        "model_list": [entry(name, model=f"openai/{name}") for name in "abc"],
        "router_settings": {"context_window_fallbacks": [{"a": ["b", "gone"]}]},
        "litellm_settings": {"content_policy_fallbacks": [{"a": ["c"]}]},
    }
    found = run(raw)
    assert models(found)["a"]["fallback_on"] == {"context_length": ["b"], "content_policy": ["c"]}
    assert models(found)["a"]["fallback"] == []
    assert "context_window_fallbacks.a" in said(found), "there is no model 'gone'"
    assert check(as_yaml(found))[1] == []


def test_imported_prices_are_exact():
    found = run(
        {"model_list": [entry("m", model="openai/a", input_cost_per_token=0.00000015, output_cost_per_token="6e-07")]}
    )
    price = models(found)["m"]["deployments"][0]["price"]
    assert (price["input_per_mtok"], price["output_per_mtok"]) == ("0.15", "0.6")


def test_a_price_that_is_none_costs_the_price():
    for wrong in (300, "dear", "nan", -1):
        found = run({"model_list": [entry("m", model="openai/a", input_cost_per_token=wrong)]})
        assert models(found)["m"]["deployments"][0]["price"] is None
        assert "not a price" in said(found)["model_list[0].litellm_params.input_cost_per_token"]


def test_fallbacks_and_routing_settings_are_imported():
    raw = {
        "model_list": [entry("a", model="openai/a"), entry("b", model="openai/b")],
        "litellm_settings": {
            "fallbacks": [{"a": ["b", "gone"]}],
            "drop_params": True,
            "request_timeout": 60,
            "context_window_fallbacks": [{"a": ["b"]}],
        },
        "router_settings": {
            "num_retries": 5,
            "model_group_alias": {"c": "a", "d": {"model": "b", "hidden": True}},
            "redis_host": "x",
            "allowed_fails": 3,
        },
    }
    found = run(raw)
    got = models(found)
    assert (
        got["a"]["fallback"] == ["b"] and got["a"]["retry"]["max"] == 3 and got["a"]["timeouts"]["first_byte_s"] == 60
    )
    assert got["c"]["alias"] == "a" and got["d"]["alias"] == "b"
    assert {
        "fallbacks.a",
        "router_settings.redis_host",
    } <= set(said(found))
    assert check(as_yaml(found))[1] == []


def test_deadlines_are_those_that_litellm_means():
    """LiteLLM, "Timeouts" (read 2026-11-27): `timeout` is "maximum time for the complete response", `stream_timeout` "maximum time
    to wait for the first chunk"; a deployment's own come before the router's, and those before `request_timeout`."""
    raw = {
        "model_list": [
            entry("own", model="openai/a", timeout=600, stream_timeout="20"),
            entry("own", model="openai/b", timeout=30),
            entry("others", model="openai/c"),
        ],
        "litellm_settings": {"request_timeout": 90, "num_retries": 2},
        "router_settings": {"timeout": 60, "stream_timeout": 15},
    }
    found = models(run(raw))
    kept = ("first_byte_s", "first_event_s", "total_s")
    assert [found["own"]["timeouts"][key] for key in kept] == [600, 20, 1800]
    assert [found["others"]["timeouts"][key] for key in kept] == [60, 15, 180]
    plain = models(run({"model_list": [entry("m", model="openai/a")], "litellm_settings": {"request_timeout": "90"}}))
    assert plain["m"]["timeouts"]["first_byte_s"] == 90 and plain["m"]["timeouts"]["first_event_s"] is None


def test_one_incomplete_entry_costs_that_entry():
    raw = {
        "model_list": [
            entry("good", model="openai/gpt-4o-mini", api_key="os.environ/K"),
            entry("vertex_ai/*", model="vertex_ai/*"),
            entry("cloud", model="cloudflare/@cf/meta/llama", api_key="os.environ/K"),
            entry("odd", model="openai/x", api_base="https://${HOST}/v1", api_key="os.environ/K"),
            entry("unset", model="azure/x", api_base="os.environ/NOT_SET", api_key="os.environ/K"),
        ]
    }
    found = run(raw)
    assert list(found.config.models) == ["good"] and list(found.config.providers) == ["openai"]
    assert check(as_yaml(found))[1] == []
    lost = said(found)
    assert (
        "project" in lost["model_list[1].litellm_params"]
        and "CLOUDFLARE_ACCOUNT_ID" in lost["model_list[2].litellm_params"]
    )
    assert "NOT_SET" in lost["model_list[4].litellm_params.api_base"] and len(lost) == 4


def test_what_will_answer_is_told_beforehand():
    raw = {
        "model_list": [
            entry("set", model="openai/a", api_key="os.environ/HERE"),
            entry("unset", model="openai/b", api_key="os.environ/AWAY"),
            entry("by-default", model="groq/c"),
            entry("literal", model="openai/d", api_key="sk-literal-literal-literal"),
            entry("keyless", model="ollama/e"),
            entry("lost", model="nobody/f"),
        ]
    }
    found = run(raw)
    silent = found.silent(lambda provider, name: found.environment[provider, name] == "HERE")
    assert sorted(silent) == ["by-default", "lost", "unset"]
    assert silent["lost"] == "it could not be taken over" and "groq" in silent["by-default"]
    assert not found.is_empty and run({"model_list": [entry("x", model="nobody/x")]}).is_empty


def test_the_output_limit_is_the_models_default():
    found = run(
        {"model_list": [entry("m", model="openai/a", max_tokens=512), entry("m", model="openai/b", max_tokens="700")]}
    )
    assert models(found)["m"]["defaults"]["max_tokens"] == 700 and not [p for p in said(found) if "max_tokens" in p]


def test_a_setting_without_a_counterpart_is_listed():
    raw = {
        "model_list": [
            {
                "model_name": "m",
                "litellm_params": {"model": "openai/a", "tags": ["eu"]},
                "model_info": {"id": "x", "odd": 1},
                "more": 2,
            }
        ],
        "general_settings": {"master_key": "sk-1234", "alerting": ["slack"], "custom_auth": "x.y"},
        "guardrails": [{"guardrail_name": "pii"}],
        "litellm_settings": {"cache": True, "callbacks": ["otel"]},
        "surprise": {"a": 1},
    }
    assert set(said(run(raw))) == {
        "model_list[0].litellm_params.tags", "model_list[0].model_info.odd", "model_list[0].more",
        "general_settings.alerting", "general_settings.custom_auth", "guardrails", "litellm_settings.cache", "litellm_settings.callbacks", "surprise",
    }  # fmt: skip


SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc/*.:", max_size=8),
    lambda c: st.lists(c, max_size=3) | st.dictionaries(st.sampled_from(
        ["model_name", "litellm_params", "model", "api_key", "api_base", "model_info", "fallbacks", "num_retries", "x", "order", "access_groups", "timeout"]), c, max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "model_list",
                "litellm_settings",
                "router_settings",
                "general_settings",
                "credential_list",
                "environment_variables",
                "other",
            ]
        ),
        SETTINGS,
    )
)
def test_any_file_is_translated_or_listed_and_nothing_breaks(raw):
    found = run(raw)
    as_yaml(found)
    assert all(line.path is not None and line.text for line in found.lines)


@given(
    st.text(min_size=1, max_size=30).filter(lambda t: t not in ("model_list", "include")),
    SETTINGS.filter(lambda v: v not in (None, [], "", {})),
)
def test_an_unknown_top_level_setting_is_never_dropped(name, value):
    known = {"environment_variables", "credential_list", "litellm_settings", "router_settings", "general_settings"}
    if name not in known:
        assert any(
            line.path.startswith(clean(name, 256)) and line.status == "unsupported" for line in run({name: value}).lines
        )


# the database


def test_keys_keep_their_hashes_names_teams_and_spend():
    rows = Database(
        teams=[TeamRow(id="t1", alias="Research", models=["a"])],
        keys=[
            KeyRow(
                token=KEY,
                alias="CI bot",
                spend=1.25,
                team_id="t1",
                models=["all-team-models"],
                rest={"max_budget": 10},
                metadata={"tags": ["x"]},
            ),
            KeyRow(token="b" * 64, spend=0.1, models=["all-proxy-models"], expires="2027-01-01T00:00:00+00:00"),
            KeyRow(token="c" * 64, alias="gone", blocked=True),
            KeyRow(token="sk-plain", alias="odd"),
        ],
    )
    found = run({"model_list": [entry("a", model="openai/a")]}, rows)
    assert set(found.config.keys) == {"ci-bot", "key-bbbbbbbb"}
    key = found.config.keys["ci-bot"]
    assert (key.sha256, key.team, key.models, key.tags) == (KEY, "Research", ["a"], ["x"])
    assert found.config.keys["key-bbbbbbbb"].models is None
    assert found.spends == {"ci-bot": 1_250_000_000, "key-bbbbbbbb": 100_000_000, "team:Research": 0}
    assert key.budget == ["10 total"] and "database.keys.odd" in said(found)
    assert check(as_yaml(found))[1] == []


def test_limits_of_a_key_and_of_its_team_are_taken_over():
    rest = {"rpm_limit": 60, "tpm_limit": 100_000, "max_parallel_requests": "4", "max_budget": 10}
    rows = Database(
        teams=[TeamRow(id="t1", alias="Research", rest={"rpm_limit": 5})],
        keys=[KeyRow(token=KEY, alias="ci", rest=rest), KeyRow(token="b" * 64, alias="odd", rest={"rpm_limit": -1})],
    )
    found = run({"model_list": [entry("a", model="openai/a")]}, rows)
    key = found.config.keys["ci"]
    assert (key.rpm, key.tpm, key.parallel) == (60, 100_000, 4)
    assert found.config.keys["odd"].rpm is None
    assert found.config.teams["Research"].rpm == 5
    assert {path for path in said(found) if path.startswith("database")} == {"database.keys.odd.rpm_limit"}
    assert check(as_yaml(found))[1] == []


def test_budgets_of_keys_teams_and_users_are_taken_over_with_what_was_spent_so_far():
    rows = Database(
        teams=[TeamRow(id="t1", alias="Research", spend=7, rest={"max_budget": 100, "budget_duration": "30d"})],
        users=[UserRow(id="u1", email="a@b.c", spend=2, rest={"max_budget": 5.5, "soft_budget": 4.4})],
        keys=[
            KeyRow(token=KEY, alias="ci", team_id="t1", user_id="u1", rest={"max_budget": 1, "budget_duration": "1d"})
        ],
    )
    found = run({"model_list": [entry("a", model="openai/a")], "litellm_settings": {"timezone": "Asia/Kolkata"}}, rows)
    assert found.config.timezone == "Asia/Kolkata"
    assert found.config.teams["Research"].budget == ["100/month"]
    assert found.config.users["a@b.c"].budget == [BudgetSpec(limit="5.5 total", soft="80%")]
    assert (found.config.keys["ci"].team, found.config.keys["ci"].budget) == ("Research", ["1/day"])
    assert found.spends == {"ci": 0, "team:Research": 7_000_000_000, "user:a@b.c": 2_000_000_000}
    assert not said(found)


def test_teams_and_users_that_keys_name_are_declared_where_one_of_them_has_limits():
    rows = Database(
        teams=[TeamRow(id="t1", alias="A", rest={"tpm_limit": 9}), TeamRow(id="t2", alias="B")],
        users=[UserRow(id="u1", email="u@example.com", rest={"max_parallel_requests": 2})],
        keys=[KeyRow(token=KEY, alias="ci", team_id="t2", user_id="u1")],
    )
    found = run({"model_list": [entry("a", model="openai/a")]}, rows)
    assert {name: team.tpm for name, team in found.config.teams.items()} == {"A": 9, "B": None}
    assert {name: user.parallel for name, user in found.config.users.items()} == {"u@example.com": 2}
    assert check(as_yaml(found))[1] == []


def test_the_limit_of_all_requests_at_once_is_the_organisations():
    found = run(
        {"model_list": [entry("a", model="openai/a")], "general_settings": {"global_max_parallel_requests": 50}}
    )
    assert found.config.organisation.parallel == 50 and not said(found)
    assert check(as_yaml(found))[1] == []


def test_a_retry_policy_says_what_is_tried_again_and_how_often():
    policy = {"TimeoutErrorRetries": 2, "RateLimitErrorRetries": 3, "BadRequestErrorRetries": 0, "Odd": 1}
    found = run({"model_list": [entry("a", model="openai/a")], "router_settings": {"retry_policy": policy}})
    retry = models(found)["a"]["retry"]
    assert (retry["max"], retry["on"]) == (3, ["timeout", 408, 429, "connect"])
    assert set(said(found)) == {"router_settings.retry_policy.Odd"}
    assert check(as_yaml(found))[1] == []


def test_limits_of_a_deployment_are_its_limits_here_and_the_report_says_what_that_means():
    found = run({"model_list": [entry("a", model="openai/a", rpm=6, tpm="9000", max_parallel_requests=2)]})
    (deployment,) = models(found)["a"]["deployments"]
    assert (deployment["rpm"], deployment["tpm"], deployment["parallel"]) == (6, 9000, 2)
    assert "passed over" in said(found, "changed")["model_list[0].litellm_params"]
    assert not said(found)


def test_access_groups_are_written_out():
    raw = {
        "model_list": [
            {**entry("a", model="openai/a"), "model_info": {"access_groups": ["g"]}},
            {**entry("b", model="openai/b"), "model_info": {"access_groups": ["g"]}},
        ]
    }
    found = run(raw, Database(keys=[KeyRow(token=KEY, models=["g"])]))
    assert found.config.keys[f"key-{KEY[:8]}"].models == ["a", "b"]


def test_encrypted_models_need_the_salt_key_and_show_nothing():
    rows = Database(models=[entry("m", model="enc-model", api_key="enc-key", odd="enc-odd")])
    opened = {"enc-model": b"openai/gpt-4o", "enc-key": b"sk-topsecret-topsecret", "enc-odd": b"hidden-value"}
    found = run({}, rows, opened.__getitem__)
    assert models(found)["m"]["deployments"][0]["model"] == "gpt-4o" and len(found.secrets) == 1
    assert "topsecret" not in repr(found) + str(found.lines) and "hidden-value" not in str(found.lines)
    assert isinstance(Opened("x"), str)


def test_without_the_salt_key_it_says_so():
    rows = Database(models=[entry("m", model="openai/x", api_key="v3:gcm:" + "A" * 80)])
    found = run({}, rows)
    assert "give --salt-key-file" in said(found)["database.models[0].api_key"]


def test_the_database_wins_over_the_file():
    rows = Database(settings={"router_settings": {"num_retries": 2}})
    found = run({"model_list": [entry("a", model="openai/a")], "router_settings": {"num_retries": 0}}, rows)
    assert models(found)["a"]["retry"]["max"] == 2


def test_a_key_that_anyone_would_guess_is_not_taken_over():
    token = hashlib.sha256(b"sk-1234").hexdigest()
    found = run({}, Database(keys=[KeyRow(token=token, alias="demo")]))
    assert found.config.keys == {} and "anyone would guess" in said(found)["database.keys.demo"]


def test_names_of_another_systems_users_steer_no_terminal():
    found = run(
        {"x\x1b[2J": 1}, Database(keys=[KeyRow(token=KEY, alias="a\x1b]0;x\x07", rest={"max_budget\n": "\x1b"})])
    )
    assert found.lines and not any(c in line.path + line.text for line in found.lines for c in "\x1b\x07\n")
