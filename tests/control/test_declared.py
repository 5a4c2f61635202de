import msgspec
import pytest
from tests.control.test_credentials import OPENAI
from tests.control.test_models import FAST

from switchgear.config.compile import Compiled
from switchgear.control import declared
from switchgear.control.versions import ConfigurationState
from switchgear.core.errors import ConflictError, UserError

FILE = Compiled(providers=(OPENAI,), models=(FAST,))
KINDS = [("provider", "openai"), ("model", "fast")]


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_a_name_of_the_file_is_neither_added_to_nor_removed_from_the_store(kind, name):
    with pytest.raises(ConflictError, match=f"the {kind} {name!r} is declared"):
        declared.check_addition(FILE, kind, name)
    with pytest.raises(UserError, match=f"the {kind} {name!r} is declared"):
        declared.check_removal(FILE, kind, name)


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_a_name_in_both_places_is_a_conflict_that_says_what_to_remove(kind, name):
    stored = {"provider": {}, "model": {}, "price": {}}
    declared.check_apart(ConfigurationState(compiled=FILE, stored=stored))
    stored[kind] = {name: msgspec.Raw(b"{}")}
    with pytest.raises(ConflictError) as refused:
        declared.check_apart(ConfigurationState(compiled=FILE, stored=stored))
    assert refused.value.hint == f"remove one: switchgear {kind} remove {name}"


def test_other_names_are_free():
    declared.check_addition(FILE, "model", "openai")
    declared.check_removal(FILE, "provider", "fast")


def test_the_demo_provider_is_removed_by_a_start_without_it():
    demo = msgspec.structs.replace(OPENAI, name="demo")
    with pytest.raises(UserError) as refused:
        declared.check_removal(Compiled(providers=(demo,)), "provider", "demo")
    assert "serve --demo" in str(refused.value) and "file" not in str(refused.value)
