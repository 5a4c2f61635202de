from switchgear.core.ids import KeyId
from switchgear.dialects.model_lists import Card
from switchgear.edge import litellm, paths
from switchgear.replica.entries import KeyEntry


def test_headers_of_an_answer():
    assert b"x-litellm-call-id: r1\r\n" in litellm.headers(b"r1", 2, 30, 1_500)
    assert b"x-litellm-response-cost: 0.000001500\r\n" in litellm.headers(b"r1", 2, 30, 1_500)
    assert b"response-cost" not in litellm.headers(b"r1", 0, 1, None), "an unknown cost is not zero"
    assert b"\r\n\r\n" not in litellm.deployment_headers("a\r\n\r\nb", "p/c")


def test_key_info_has_the_keys_spend_team_and_limits():
    key = KeyEntry(KeyId("k1"), "ci", 1, [], team="research", models=["a"], expires_ms=1_800_000_000_000)
    info = litellm.key_info(key, 1_250_000_000)["info"]
    assert (info["spend"], info["team_id"], info["models"], info["max_budget"]) == (1.25, "research", ["a"], None)
    assert info["expires"] == "2027-01-15T08:00:00+00:00"


def test_model_info_has_a_models_prices_per_token():
    (row,) = litellm.model_info(
        [Card("a", pricing={"input_per_mtok": "0.15", "output_per_mtok": "0.6"}, context_window=9)]
    )["data"]
    assert row["model_info"]["input_cost_per_token"] == 1.5e-07 and row["model_info"]["max_input_tokens"] == 9
    assert "input_cost_per_token" not in litellm.model_info([Card("b")])["data"][0]["model_info"]


def test_paths_of_litellm_are_marked_and_its_engines_path_is_served():
    for path in (b"/health/liveliness", b"/health/readiness", b"/key/info", b"/model/info", b"/v1/model/info"):
        assert paths.find(path).endpoint.compat == "litellm"
    found = paths.find(b"/engines/openai%2Fx/chat/completions")
    assert found.rest == "openai/x" and found.endpoint.operation == "chat" and not found.endpoint.compat
