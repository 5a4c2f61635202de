import msgspec
import pytest
from tests.control.conftest import PLACE, sealed

from switchgear.config.compile import Compiled, ProviderSpec
from switchgear.core.errors import ConflictError, UserError
from switchgear.providers import endpoint
from switchgear.store import objects
from switchgear.vault import verbs

OPENAI = ProviderSpec(
    name="openai", dialects=("openai",), endpoint=PLACE, pricing_id="openai", credentials=("default",)
)


def published(desk):
    table = desk.publisher.current().table
    return {name: entry.credentials for name, entry in table.providers.items()}


def test_a_credential_is_in_the_vault_before_a_route_to_it_is_published(desk):
    desk.run(lambda: desk.services.credentials.put(sealed(), OPENAI, "ann"))
    assert published(desk) == {"openai": ("default",)}
    assert desk.link.asked.index("put") < len(desk.link.asked) - 1 and desk.link.asked[-1] == "list"
    assert [line.action for line in desk.audit()] == ["provider.add", "credential.put"]


def test_a_credential_of_an_unknown_provider_is_not_sent_to_the_vault(desk):
    with pytest.raises(UserError, match="there is no provider 'openai'"):
        desk.run(lambda: desk.services.credentials.put(sealed(), None, "ann"))
    assert "put" not in desk.link.asked


def test_a_credential_that_was_sealed_for_another_place_is_refused(desk):
    other = sealed(place=endpoint.parse("https://elsewhere.example/v1"))
    with pytest.raises(UserError, match=r"was sealed for https://elsewhere\.example/v1"):
        desk.run(lambda: desk.services.credentials.put(other, OPENAI, "ann"))
    assert "put" not in desk.link.asked


@pytest.mark.parametrize(("verb", "left"), [(verbs.DISABLE, ()), (verbs.REMOVE, ())])
def test_a_credential_that_is_disabled_or_removed_serves_no_route(desk, verb, left):
    credentials = desk.services.credentials
    desk.run(
        lambda: credentials.put(sealed(), OPENAI, "ann"), lambda: credentials.change(verb, "openai/default", "ann")
    )
    assert published(desk) == {"openai": left}


def test_a_credential_that_the_file_declares_can_be_disabled_and_not_removed(desk):
    desk.services.publication.compiled = Compiled(providers=(OPENAI,))
    credentials = desk.services.credentials
    desk.run(lambda: credentials.put(sealed(), None, "ann"))
    with pytest.raises(UserError, match="declared in the configuration file"):
        desk.run(lambda: credentials.change(verbs.REMOVE, "openai/default", "ann"))
    assert desk.run(lambda: credentials.change(verbs.DISABLE, "openai/default", "ann")).state == "disabled"


def test_removing_a_provider_removes_its_credentials(desk):
    credentials = desk.services.credentials
    desk.run(lambda: credentials.put(sealed(), OPENAI, "ann"), lambda: credentials.remove_provider("openai", "ann"))
    assert published(desk) == {} and desk.link.box.list() == []


def test_a_provider_of_the_file_is_changed_there(desk):
    desk.services.publication.compiled = Compiled(providers=(OPENAI,))
    with pytest.raises(ConflictError, match="is declared"):
        desk.run(lambda: desk.services.credentials.add_provider(OPENAI, "ann"))
    with pytest.raises(UserError, match="declared in the configuration file"):
        desk.run(lambda: desk.services.credentials.remove_provider("openai", "ann"))


def test_a_credential_that_works_again_is_no_longer_known_to_be_refused(desk):
    refused = desk.services.refusals
    refused.apply(refused.changes({"openai/default": (401, 1)}))
    desk.run(lambda: desk.services.credentials.works("openai/default"))
    assert refused.changes({"openai/default": (200, desk.clock.wall_ms())}) == {}
    assert desk.read(objects.objects, "refused") == {}


SPLIT = msgspec.structs.replace(PLACE, headers=(("x-a", "b\r\nauthorization: Bearer other"),))


@pytest.mark.parametrize(
    "change",
    [{"endpoint": SPLIT}, {"name": "a b"}, {"dialects": ("soap",)}, {"auths": {"default": "header:content-length"}}],
)
def test_a_provider_that_no_configuration_makes_is_not_added(desk, change):
    odd = msgspec.structs.replace(OPENAI, **change)
    with pytest.raises(UserError):
        desk.run(lambda: desk.services.credentials.add_provider(odd, "ann"))
    assert desk.read(objects.objects, "provider") == {} and desk.audit() == []


@pytest.mark.parametrize("change", [{"headers": SPLIT.headers}, {"proxy": "abc"}, {"tls_trust": "x" * 70_000}])
def test_a_credential_of_a_place_that_no_configuration_makes_is_not_sent_to_the_vault(desk, change):
    place = msgspec.structs.replace(PLACE, **change)
    spec = msgspec.structs.replace(OPENAI, endpoint=place)
    with pytest.raises(UserError, match="endpoint"):
        desk.run(lambda: desk.services.credentials.put(sealed(place=place), spec, "ann"))
    assert "put" not in desk.link.asked and desk.read(objects.objects, "provider") == {}


def test_a_credential_with_a_name_that_is_none_is_not_sent_to_the_vault(desk):
    put = sealed()
    put = msgspec.structs.replace(put, context=msgspec.structs.replace(put.context, credential="a/b"))
    with pytest.raises(UserError, match="is not a name"):
        desk.run(lambda: desk.services.credentials.put(put, OPENAI, "ann"))
    assert "put" not in desk.link.asked
