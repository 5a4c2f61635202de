"""Model lists in each client's shape."""

from switchgear.dialects.model_lists import Card, described
from switchgear.dialects.registry import BY_NAME

CARDS = [Card("a/b", "a", 1000), Card("c")]


def page(dialect, cards):
    models = BY_NAME[dialect].models
    return models.page([models.item(card) for card in cards])


def test_each_client_reads_its_own_shape():
    assert [item["id"] for item in page("openai", CARDS)["data"]] == ["a/b", "c"]
    anthropic = page("anthropic", CARDS)
    assert (anthropic["first_id"], anthropic["last_id"], anthropic["has_more"]) == ("a/b", "c", False)
    assert page("gemini", CARDS)["models"][0]["name"] == "models/a/b"
    assert page("responses", CARDS)["models"][0]["slug"] == "a/b"
    assert page("anthropic", [])["first_id"] is None


def test_the_context_window_is_said_where_it_is_known():
    assert BY_NAME["openai"].models.item(CARDS[0])["context_window"] == 1000
    assert "context_window" not in BY_NAME["openai"].models.item(CARDS[1])
    assert BY_NAME["gemini"].models.item(CARDS[0])["inputTokenLimit"] == 1000


def test_fields_that_are_not_known_are_left_out():
    assert described(Card("c")) == {}
    assert described(Card("c", pricing={"input_per_mtok": "1"}, aliases=("d",))) == {
        "pricing": {"input_per_mtok": "1"},
        "aliases": ["d"],
    }
