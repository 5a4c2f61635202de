"""The record that people see."""

import json

from switchgear.ledger import record
from switchgear.ledger.record import Record


def test_every_field_of_the_contract_is_shown_null_where_unknown():
    shown = record.full(
        Record(
            id="i",
            time="t",
            operation="chat",
            path="/p",
            dialect="openai",
            status=200,
            outcome="ok",
            gateway_version="1",
        )
    )
    for name in [
        "kind",
        "key",
        "team",
        "user",
        "project",
        "end_user",
        "session",
        "agent",
        "tags",
        "cost_center",
        "environment",
        "client",
        "client_ip",
        "client_request_id",
        "trace_id",
        "dialect",
        "model",
        "upstream_model",
        "provider",
        "deployment",
        "credential",
        "endpoint_region",
        "service_tier",
        "billing_account",
        "attempts",
        "status",
        "outcome",
        "finish_reason",
        "response_id",
        "stream",
        "cached",
        "dropped",
        "client_retry",
        "tokens",
        "units",
        "cost_lines",
        "list_cost_nanousd",
        "cost_nanousd",
        "saved_nanousd",
        "cost_estimated",
        "estimate_reason",
        "price_source",
        "price_version",
        "reserved_nanousd",
        "budgets",
        "bytes_in",
        "bytes_out",
        "latency_ms",
        "ttft_ms",
        "queue_ms",
        "upstream_ms",
        "error",
        "key_version",
        "node",
        "gateway_version",
        "record_version",
    ]:
        assert name in shown
    assert shown["cost_nanousd"] is None
    json.dumps({name: value for name, value in shown.items() if not hasattr(value, "__struct_fields__")})


def test_the_store_keeps_only_what_is_known():
    encoded = record.encode(
        Record(
            id="i",
            time="t",
            operation="chat",
            path="/p",
            dialect="openai",
            status=200,
            outcome="ok",
            gateway_version="1",
        )
    )
    assert b"null" not in encoded
    assert record.decode(encoded).id == "i"
