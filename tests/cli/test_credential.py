import pytest

from switchgear.cli import credential
from switchgear.core.errors import UserError

HELD = [
    {"id": f"{p}/{n}", "provider": p, "name": n}
    for p, n in (("openai", "default"), ("azure-eu", "prod"), ("azure-eu", "test"))
]


@pytest.mark.parametrize(
    ("name", "found"),
    [("openai", ["openai/default"]), ("openai/default", ["openai/default"]), ("azure-eu/prod", ["azure-eu/prod"]), ("azure-eu", ["azure-eu/prod", "azure-eu/test"])],
)  # fmt: skip
def test_a_provider_stands_for_its_credentials_whatever_their_names(name, found):
    assert credential.matching(HELD, name) == found


@pytest.mark.parametrize(
    ("name", "meant"), [("nosuch", ""), ("opnai/default", "openai/default"), ("azure-eu/default", "")]
)
def test_a_credential_that_does_not_exist_is_refused_by_name(name, meant):
    with pytest.raises(UserError, match="there is no credential") as info:
        credential.matching(HELD, name)
    assert meant in str(info.value) and "KEK" not in str(info.value)
