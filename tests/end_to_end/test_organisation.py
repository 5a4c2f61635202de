"""Teams and the like with real processes: what a team says holds for all its keys, on all edges, from the next request on."""

import http.client
import json

import pytest

from switchgear.testing.patience import PATIENCE_S


def ask(gateway, key, model="fake/echo", path="/v1/chat/completions", **headers):
    """Return (status, body) of a request on a connection of its own, so that any edge may get it."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=PATIENCE_S)
    try:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hello"}]})
        known = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        method = "GET" if path == "/v1/key" else "POST"
        connection.request(method, path, body if method == "POST" else None, {**known, **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def team(gateway):
    """A team below another one, with two keys."""
    gateway.cli("team", "create", "company")
    gateway.cli("team", "create", "crew", "--parent", "company")
    return [gateway.key(f"crew-{number}", "--team", "crew") for number in (1, 2)]


def test_N3_a_teams_limit_is_shared_by_its_keys_over_all_edges(gateway, team):
    gateway.cli("team", "update", "company", "--limit", "6 requests/hour")
    answers = [ask(gateway, team[number % 2]) for number in range(20)]
    assert [status for status, _ in answers].count(200) == 6
    refused = next(body for status, body in answers if status == 429)
    assert "this key's team" in refused["error"]["message"]
    told = ask(gateway, team[0], path="/v1/key")[1]
    assert {"field": "limits", "rule": "6 requests/hour", "of": "team", "name": "company"} in told["binding"]
    (row,) = [one for one in told["limits"] if one["of"] == "team"]
    assert (row["name"], row["used"], row["remaining"]) == ("company", 6, 0)
    gateway.cli("team", "update", "company", "--limit", "")
    assert ask(gateway, team[0])[0] == 200


def test_a_model_that_a_team_may_no_longer_call_is_refused_to_its_keys_at_the_next_request(gateway, team):
    gateway.cli("team", "update", "company", "--models", "fake/*")
    assert ask(gateway, team[0])[0] == 200
    gateway.cli("team", "update", "company", "--models", "other/*")
    assert [ask(gateway, key)[0] for key in team for _ in range(4)] == [404] * 8
    gateway.cli("team", "update", "company", "--models", "")
    gateway.cli("team", "update", "company", "--models", "fake/*,fast")
    dry = ask(gateway, team[0], **{"x-switchgear-dry-run": "1"})[1]
    assert {"field": "models", "rule": "fake/*, fast", "of": "team", "name": "company"} in dry["binding"]


def test_a_frozen_team_stops_the_teams_below_it(gateway, team):
    gateway.cli("freeze", "team", "company")
    assert [ask(gateway, key)[0] for key in team] == [403, 403]
    gateway.cli("unfreeze", "team", "company")
    assert [ask(gateway, key)[0] for key in team] == [200, 200]


def test_a_renamed_team_keeps_its_keys_and_records_keep_the_name_of_their_day(gateway, team):
    assert ask(gateway, team[0])[0] == 200
    gateway.records("--key", "crew-1", count=1)
    gateway.cli("team", "update", "crew", "--rename", "squad")
    assert ask(gateway, team[0])[0] == 200
    names = {record["team"]["name"] for record in gateway.records("--team", "squad", count=1)}
    assert names == {"squad"}
    assert gateway.records("--team", "crew", count=1), "records keep their names"
    assert {record["team"]["id"] for record in gateway.records("--key", "crew-1", count=2)} == {"crew"}


def test_a_key_of_a_team_that_does_not_exist_is_refused_and_no_team_is_made(gateway, team):
    refused = gateway.cli("key", "create", "typo", "--team", "compnay", check=False)
    assert refused.returncode == 2 and "did you mean 'company'?" in refused.stderr
    assert "compnay" not in [one["name"] for one in gateway.json("team", "list")["teams"]]
