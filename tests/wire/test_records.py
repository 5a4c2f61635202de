"""Spool records: what parses, and what must not."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.errors import RecordError
from switchgear.core.usage import TokenUsage
from switchgear.wire import records
from switchgear.wire.records import Kind

SEED = records.seed_of("ab" * 16)

BEFORE_CREDENTIAL_IDS = {
    "place": (
        "99a463686174b42f76312f636861742f636f6d706c6574696f6e73a66f70656e6169a466617374a66f70656e6169ab6f7065"
        "6e61692f6d61696ea46d61696ea66770742d346fa27031"
    ),
    "reserve": (
        "9ca26162cf000001a0c4506c00dc0010a16ba46e616d6501a47465616dc0c0c0c0c0c0c0c0c0c0c0c099a463686174b42f76"
        "312f636861742f636f6d706c6574696f6e73a66f70656e6169a466617374a66f70656e6169ab6f70656e61692f6d61696ea4"
        "6d61696ea66770742d346fa27031c20ac0c063c0c0c0"
    ),
    "attempt": "97a2616202a5617a757265a8617a7572652f6575a26575a66770742d346fc0",
    "dispatch": "94a461622d31ab6f70656e61692f6d61696ecf000001a0c4506c00a372756e",
}
"""Payloads in hexadecimal."""


@given(st.integers(0, 2**40), st.integers(1, 2**60), st.binary(min_size=1, max_size=300))
def test_L3_a_record_parses_where_it_was_written_and_nowhere_else(offset, sequence, payload):
    framed = records.frame(SEED, offset, Kind.SETTLE, sequence, payload)
    assert records.parse(SEED, offset, framed, 0) == (Kind.SETTLE, sequence, payload, len(framed))
    assert records.parse(SEED, offset + 1, framed, 0) is None
    assert records.parse(records.seed_of("other"), offset, framed, 0) is None


@given(st.binary(min_size=1, max_size=100), st.data())
def test_L3_damage_does_not_parse(payload, data):
    framed = bytearray(records.frame(SEED, 0, Kind.RESERVE, 1, payload))
    at = data.draw(st.integers(0, len(framed) - 1))
    framed[at] ^= data.draw(st.integers(1, 255))
    assert records.parse(SEED, 0, bytes(framed), 0) is None


def test_L3_zeros_and_torn_tails_do_not_parse():
    assert records.parse(SEED, 0, bytes(4096), 0) is None
    framed = records.frame(SEED, 0, Kind.RESERVE, 1, b"payload")
    for cut in range(len(framed)):
        assert records.parse(SEED, 0, framed[:cut], 0) is None


@given(st.sampled_from(list(Kind)), st.binary(max_size=60))
def test_L5_a_malformed_payload_is_a_record_error(kind, payload):
    with contextlib.suppress(RecordError):
        records.decode_payload(kind, payload)


def test_an_unknown_kind_is_an_error():
    with pytest.raises(RecordError):
        records.decode_payload(99, b"\x90")


def test_a_settlement_fits_what_a_reservation_keeps_free():
    text = "x" * 128
    used = TokenUsage(input=10**8, output=10**8)
    outcome = records.AttemptOutcome(9, 599, "x" * 32, 10**9, 10**9, 10**9, 10**6, text, used, 2**60, True, "x" * 64)
    settle = records.Settle(
        "f" * 32,
        599,
        "upstream_error",
        [outcome] * 8,
        TokenUsage(input=10**8, output=10**8),
        2**60,
        "x" * 200,
        text,
        text,
        text,
        2**40,
        10**9,
        10**9,
        "x" * 64,
        "é" * 256,
        ["x" * 64] * 7 + ["..."],
        {"images": 10**8, "seconds": 10**8, "characters": 10**8, "searches": 10**8},
        passed_over=["x" * 254, "x" * 254],
        still_charged=[records.StillCharged(number, 10**6) for number in range(1, 9)],
    )
    assert len(records.encode_payload(settle)) <= records.SETTLE_BYTES_MAX


def test_settlements_of_earlier_versions_decode():
    usage = [10, 1, None, None, 5, None, None, None, None]
    old = ["i", 200, "ok", [], usage, 7, None, "stop", "r", None, 1, 2, None, None, None, None, {"images": 1}]
    found = records.decode_payload(Kind.SETTLE, records.encode_payload(old))
    assert found.tokens == TokenUsage(input=10, cache_read=1, output=5)
    assert (found.units, found.others, found.charged_nanousd, found.priced_as) == ({"images": 1}, None, None, None)


def test_L3_records_of_the_format_before_credential_ids_decode_as_they_were_meant():
    """The bytes were written by the program that called a credential's id a deployment."""
    found = {name: bytes.fromhex(text) for name, text in BEFORE_CREDENTIAL_IDS.items()}
    callee = records.decode_callee(msgspec.Raw(found["place"]))
    assert (callee.provider, callee.credential_id, callee.credential) == ("openai", "openai/main", "main")
    assert (callee.model, callee.upstream_model, callee.price_id) == ("fast", "gpt-4o", "p1")
    reserve = records.decode_payload(Kind.RESERVE, found["reserve"])
    assert bytes(reserve.callee) == found["place"]
    attempt = records.decode_payload(Kind.ATTEMPT, found["attempt"])
    assert (attempt.number, attempt.credential_id, attempt.upstream_model) == (2, "azure/eu", "gpt-4o")
    dispatch = records.decode_payload(Kind.DISPATCH, found["dispatch"])
    assert (dispatch.attempt_id, dispatch.credential_id, dispatch.link) == ("ab-1", "openai/main", "run")


def test_shared_parts_travel_encoded():
    caller = records.Caller("k", "name", 1, "team", None, None)
    reserve = records.Reserve(
        "i", 1, msgspec.Raw(records.encode_payload(caller)), msgspec.Raw(b"\x90"), False, 1, None, None, 2
    )
    decoded = records.decode_payload(Kind.RESERVE, records.encode_payload(reserve))
    assert records.decode_caller(decoded.caller) == caller
