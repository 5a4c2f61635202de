"""What routes answer, as described. Real answers are compared with it end to end (test_admin_api, schemathesis)."""

import msgspec

from switchgear.control import openapi
from switchgear.control.answers import Key, SumsRow
from switchgear.control.key_routes import _key
from switchgear.control.routes import ROUTES
from switchgear.store.objects import KeyRow
from switchgear.store.sums import SUMS


def test_every_answer_is_described_by_the_type_in_its_row():
    assert all((route.answer is bytes) == (route.content_type != openapi.JSON) for route in ROUTES)
    document = openapi.document(ROUTES)
    for path, found in document["paths"].items():
        for operation in found.values():
            (content,) = operation["responses"]["200"]["content"].values()
            assert content["schema"] != {"type": "object"} or path == "/api/openapi.json"
    assert not [name for name in document["components"]["schemas"] if "." in name], "two types of one name"


def test_sums_are_those_of_the_store():
    assert {field.name for field in msgspec.structs.fields(SumsRow)} == {"group", "cost_usd", "what_if_nanousd", *SUMS}


def test_a_key_is_what_is_described_and_no_field_more():
    shown = _key(KeyRow(id="k1", name="app"))
    assert set(shown) == {field.name for field in msgspec.structs.fields(Key)}
    msgspec.convert(shown, Key)
