import datetime

from switchgear.importers.litellm_rows import database


def test_rows_of_all_tables():
    rows = {
        "keys": [
            {"token": "a" * 64, "key_alias": "x", "spend": 2.5, "expires": datetime.datetime.fromisoformat("2027-01-01"), "models": ["m"],
             "metadata": {"tags": ["t"]}, "budget_id": "b1", "rpm_limit": 7, "blocked": None, "aliases": {}},
            {"token": None},
        ],
        "budgets": [{"budget_id": "b1", "max_budget": 5.0, "budget_duration": "30d"}],
        "teams": [{"team_id": "t", "team_alias": None, "models": [], "blocked": True}],
        "users": [{"user_id": "u", "user_email": "a@b.c", "max_budget": 1.0}],
        "models": [{"model_name": "m", "litellm_params": '{"model": "x"}', "model_info": {}}],
        "credentials": [{"credential_name": "c", "credential_values": {"api_key": "x"}}],
        "config": [{"param_name": "router_settings", "param_value": '{"num_retries": 1}'}, {"param_name": "odd", "param_value": "{"}],
    }  # fmt: skip
    found = database(rows)
    (key,) = found.keys
    assert key.expires == "2027-01-01T00:00:00+00:00" and key.metadata == {"tags": ["t"]} and not key.blocked
    assert key.rest == {"rpm_limit": 7, "max_budget": 5.0, "budget_duration": "30d"}
    assert found.teams[0].rest == {"blocked": True} and found.users[0].rest == {"max_budget": 1.0}
    assert found.models[0]["litellm_params"] == {"model": "x"}
    assert found.settings == {"router_settings": {"num_retries": 1}, "odd": {}}


def test_tables_and_columns_may_be_missing():
    found = database({"keys": [{"token": "a" * 64}]})
    assert found.keys[0].models == [] and found.teams == [] and found.settings == {}
