"""The rows of the dialects."""

import json

import pytest

from switchgear.dialects.errors import Fault
from switchgear.dialects.registry import BY_NAME, DIALECTS
from switchgear.providers.catalogue import GENERIC

FAULT = Fault(503, "try again", "server_error", None, "overloaded_error", None, 2, "id1")


def test_rows_have_one_name_each_and_a_provider_each():
    assert len(BY_NAME) == len(DIALECTS)
    assert set(BY_NAME) == set(GENERIC)


@pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.name)
def test_paths_that_several_dialects_serve_have_one_meaning(row):
    mine = {(path.method, path.path) for path in row.client_paths}
    others = {(path.method, path.path) for other in DIALECTS if other is not row for path in other.client_paths}
    assert not mine & others


@pytest.mark.parametrize("row", DIALECTS, ids=lambda row: row.name)
def test_an_error_is_json_and_its_event_ends_with_an_empty_line_or_is_binary(row):
    headers, body = row.error(FAULT)
    assert isinstance(json.loads(body), dict)
    assert not headers or headers.endswith(b"\r\n")
    assert b"try again" in row.error_event(FAULT)
