"""Model lists in each client's shape."""

from switchgear.dialects.model_lists import Card, render_list, render_one

CARDS = [Card("a/b", "a", 1000), Card("c")]


def test_each_client_reads_its_own_shape():
    assert [item["id"] for item in render_list("openai", CARDS)["data"]] == ["a/b", "c"]
    anthropic = render_list("anthropic", CARDS)
    assert (anthropic["first_id"], anthropic["last_id"], anthropic["has_more"]) == ("a/b", "c", False)
    assert render_list("gemini", CARDS)["models"][0]["name"] == "models/a/b"
    assert render_list("codex", CARDS)["models"][0]["slug"] == "a/b"
    assert render_list("anthropic", [])["first_id"] is None


def test_the_context_window_is_said_where_it_is_known():
    assert render_one("openai", CARDS[0])["context_window"] == 1000
    assert "context_window" not in render_one("openai", CARDS[1])
    assert render_one("gemini", CARDS[0])["inputTokenLimit"] == 1000
