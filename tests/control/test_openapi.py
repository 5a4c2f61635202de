"""The document says what the table says."""

import re

from switchgear.control import openapi
from switchgear.control.routes import ROUTES

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
