"""The route table as an OpenAPI 3.1 document. Level 5. Pure: what it says is what the table says.

Source: OpenAPI Specification 3.1.0 (spec.openapis.org/oas/v3.1.0, read 2026-11-26).
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from switchgear import __version__
from switchgear.control.api import Route

JSON = "application/json"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_ERRORS = {
    "400": "The request is wrong; `hint` says what to do.",
    "401": "No valid admin token was sent.",
    "403": "The role of the token does not allow this.",
    "404": "There is nothing at that path.",
    "409": "It clashes with what is there.",
    "412": "It changed since the version that If-Match, or the body, names.",
    "413": "The body is too large.",
    "421": "The host name is not this console's.",
    "500": "A fault of the gateway; its log has the details.",
    "503": "The store or the vault is not available now.",
}


class ErrorAnswer(msgspec.Struct):
    """Body of an error: what, and what to do."""

    error: str
    hint: str
    wrong_use: bool = False
    """The call itself is wrong: repeating it changes nothing. `switchgear` exits with 2 then, else with 1."""


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Describe the routes by their types. A body's type decodes it, so it cannot drift; tests compare an answer's with what is
    answered."""
    table = list(routes)
    types = [ErrorAnswer, *(route.body for route in table if route.body is not None)]
    types += [route.answer for route in table if route.content_type == JSON]
    types = list(dict.fromkeys(types))
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in table:
        path = _PARAMETER.sub(r"{\1}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Switchgear admin API", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "sgat-…"}},
        },
    }


def _operation(route: Route, by_type: dict[Any, Any]) -> dict[str, Any]:
    text = (route.handler.__doc__ or "").strip()
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _PARAMETER.findall(route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]
    shape = by_type[route.answer] if route.content_type == JSON else {"type": "string"}
    problem = {"content": {JSON: {"schema": by_type[ErrorAnswer]}}}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()} {route.path.removeprefix('/api/v1')}").strip("_"),
        "summary": text.split("\n", 1)[0],
        "x-permission": route.permission,
        "security": [] if route.permission == "public" else [{"token": []}],
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": {route.content_type.partition(";")[0]: {"schema": shape}}},
            **{status: {"description": words, **problem} for status, words in _ERRORS.items()},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {JSON: {"schema": by_type[route.body]}},
        }
    return operation
