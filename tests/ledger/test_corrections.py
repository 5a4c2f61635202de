"""A correction is the difference between what was booked and what the provider told later."""

import msgspec
from tests.ledger.test_ingest import PRICE, USAGE, callee, find, ingester, reserve, rid, settle, spool, store  # noqa: F401

from switchgear.core.usage import TokenUsage
from switchgear.ledger import build, corrections
from switchgear.ledger.batch import Batch, Told
from switchgear.ledger.build import OpenRequest
from switchgear.wire import records
from switchgear.wire.records import Kind

CALLER = records.Caller("k", "bot", 1, "team", None, None)
CALLEE = records.Callee("responses", "/responses", "responses", "a/echo", "a", "a/c", "c", "echo", "p")


def opened(**more):
    raws = (msgspec.Raw(records.encode_payload(value)) for value in (CALLER, CALLEE))
    reserve = records.Reserve(rid(1), 1_790_000_000_000, *raws, False, 25, 3750, None, 100, **more)
    return OpenRequest(reserve, CALLER, CALLEE, b"", [])


def settled(**more):
    outcome = records.AttemptOutcome(1, 200, None, 0, 3, 4, None, "req")
    tokens = TokenUsage(input=25, output=0)
    return records.Settle(
        *(rid(1), 200, "ok", [outcome], tokens, 3750, "made in the background", "queued", "resp_1", "default", 10, 5, None),
        **more,
    )  # fmt: skip


def told(**late):
    record = records.Late(
        rid(2), "resp_1", "completed", late.pop("tokens", TokenUsage(input=1_000, output=2_000)), **late
    )
    return Told(record, "team:team", "a/c", 1_790_000_060_000)


def test_both_records_together_are_what_the_provider_charges():
    found = corrections.correction(opened(), settled(), told(), find)
    before = build.settled(opened(), settled(), find)
    # 0.15 and 0.60 USD a million, and 1,000 and 2,000 tokens
    assert before.cost_nanousd + found.cost_nanousd == 1_000 * 150 + 2_000 * 600
    assert before.tokens.input + found.tokens.input == 1_000
    assert before.tokens.output + found.tokens.output == 2_000
    assert sum(line.cost_nanousd for line in found.cost_lines) == found.cost_nanousd
    assert found.corrects == before.id and found.kind == "correction" and found.count == 0
    assert found.id[:12] == before.id[:12] and found.id != before.id
    assert found.cost_estimated is False and found.finish_reason == "completed"
    assert found.time == "2026-09-21T14:14:20.000Z"


def test_an_answer_that_came_to_less_gives_back():
    found = corrections.correction(opened(), settled(), told(tokens=TokenUsage(input=5, output=0)), find)
    assert found.cost_nanousd == (5 - 25) * 150
    assert found.tokens.input == -20


def test_sums_of_both_are_those_of_an_exact_record():
    batch = Batch()
    batch.add_record(build.settled(opened(), settled(), find))
    batch.add_record(corrections.correction(opened(), settled(), told(), find))
    (sums,) = batch.sums.values()
    assert (sums.requests, sums.attempts, sums.estimated_requests, sums.errors) == (1, 1, 0, 0)
    assert (sums.cost_nanousd, sums.input_tokens, sums.output_tokens) == (1_350_000, 1_000, 2_000)


def test_an_answer_without_a_price_stays_without_one():
    found = corrections.correction(opened(), settled(), told(), lambda *asked: None)
    assert found.cost_nanousd is None and found.tokens.output == 2_000


def test_what_is_told_belongs_to_an_open_request_of_its_spool(store, spool, tmp_path):  # noqa: F811
    reserve(spool, 1)
    for late in (
        records.Late(rid(1), "resp_1", "completed", USAGE),
        records.Late(rid(9), "resp_1", "completed", USAGE),
        records.Late(rid(1), "no id at all", "completed", USAGE),
    ):
        spool.append(Kind.LATE, records.encode_payload(late))
    spool.commit()
    batch = Batch()
    ingester(store, tmp_path).ingest(batch)
    (taken,) = batch.late
    assert (taken.scope, taken.credential_id, taken.late.tokens) == ("team:team", "a/c", USAGE)
    assert len(batch.findings) == 2
