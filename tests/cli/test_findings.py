import pytest

from switchgear.cli import findings
from switchgear.core.errors import UserError


class Fake:
    def call(self, *_):
        return {"findings": [{"finding": {"id": one}} for one in ("3f2a11", "3f2b22", "9c")]}


def test_the_beginning_of_an_id_is_enough_where_it_is_one_findings_only():
    assert findings._identity(Fake(), "3f2a") == "3f2a11" and findings._identity(Fake(), "9c") == "9c"
    with pytest.raises(UserError, match="2 findings begin with") as info:
        findings._identity(Fake(), "3f")
    assert "3f2a11, 3f2b22" in info.value.hint
    with pytest.raises(UserError, match="there is no finding"):
        findings._identity(Fake(), "zz")
