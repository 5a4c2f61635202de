import pytest

from switchgear.cli import price
from switchgear.core.errors import UserError


class Fake:
    def call(self, method, path, **query):
        if path == "/models":
            return {"models": [{"name": "fast"}, {"name": "gone"}, {"name": "two"}], "implicit": []}
        if path == "/providers":
            return {"providers": [{"name": "local"}], "catalogue": ["openai"]}
        places = {"fast": [("local", "qwen3")], "two": [("local", "a"), ("openai", "b"), ("local", "a")], "gone": []}[
            query["model"]
        ]
        return {"candidates": [{"provider": p, "upstream_model": m} for p, m in places]}


@pytest.mark.parametrize(
    ("model", "targets"),
    [
        ("fast", ["local/qwen3"]),
        ("two", ["local/a", "openai/b"]),
        ("local/x/y", ["local/x/y"]),
        ("openai/gpt-4o", ["openai/gpt-4o"]),
    ],
)
def test_a_configured_name_leads_to_where_it_is_served(model, targets):
    assert price.targets_of(Fake(), model) == targets


@pytest.mark.parametrize(
    ("model", "said"), [("gone", "nowhere"), ("fats", "did you mean 'fast'"), ("opnai/gpt-4o", "did you mean 'openai'"), ("local/", "PROVIDER/MODEL")]
)  # fmt: skip
def test_a_price_for_a_model_that_nothing_serves_is_refused(model, said):
    with pytest.raises(UserError, match=said):
        price.targets_of(Fake(), model)
