"""The document says what the table says."""

import re

import msgspec

from switchgear.control import openapi
from switchgear.control.answers import ANSWERS, Sums
from switchgear.control.routes import ROUTES
from switchgear.store.tables import SUMS

DOCUMENT = openapi.document(ROUTES)


def test_every_route_is_described_with_its_permission_and_body():
    for route in ROUTES:
        operation = DOCUMENT["paths"][re.sub(r":path\}", "}", route.path)][route.method.lower()]
        assert operation["x-permission"] == route.permission
        assert operation["summary"], f"{route.method} {route.path} has no docstring"
        assert ("requestBody" in operation) == (route.body is not None)
        assert bool(operation["security"]) == (route.permission != "public")
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)", route.path))


def test_operations_have_names_of_their_own_and_references_lead_somewhere():
    names = [o["operationId"] for path in DOCUMENT["paths"].values() for o in path.values()]
    assert len(set(names)) == len(names)
    for reference in set(re.findall(r"#/components/schemas/(\w+)", repr(DOCUMENT))):
        assert reference in DOCUMENT["components"]["schemas"]


def test_every_answer_is_described_and_nothing_else():
    assert set(ANSWERS) == {(route.method, route.path) for route in ROUTES if route.content_type == openapi.JSON}
    for path, found in DOCUMENT["paths"].items():
        for operation in found.values():
            (content,) = operation["responses"]["200"]["content"].values()
            assert content["schema"] != {"type": "object"} or path == "/api/openapi.json"
    assert not [name for name in DOCUMENT["components"]["schemas"] if "." in name], "two types of one name"
    assert {field.name for field in msgspec.structs.fields(Sums)} == {"group", "cost_usd", *SUMS}
