"""Requests that nobody settled: what the journal and the last note say is charged, nothing else."""

import msgspec
import pytest
from tests.ledger.test_charges import charges
from tests.ledger.test_claims import RID, opened

from switchgear.core.usage import TokenUsage
from switchgear.ledger import interrupted
from switchgear.ledger.journal import Evidence
from switchgear.wire import records


def request(tries=1, checkpoint=None):
    made = opened(tries=tries)
    parts = {
        "caller": msgspec.Raw(records.encode_payload(made.caller)),
        "callee": msgspec.Raw(records.encode_payload(made.callee)),
    }
    made.reserve = msgspec.structs.replace(made.reserve, **parts)
    made.checkpoint = checkpoint
    return made


def seen(number=1, done=None):
    return {f"{RID}-{number}": Evidence("a/c", done)}


def done(status, reason=None, bytes_in=0):
    return records.AttemptEnd(f"{RID}-1", status, reason, bytes_in, 0, 1)


def test_an_orphan_that_no_journal_names_was_not_sent_and_is_free():
    record = interrupted.orphaned(request(), {}, charges())
    assert (record.outcome, record.cost_nanousd, record.attempts) == ("not_sent", 0, [])


@pytest.mark.parametrize(
    ("journal", "checkpoint", "tokens"),
    [
        (None, None, (25, 0)),
        (done(200, bytes_in=800), None, (25, 100)),
        (done(200, "broken", 800), None, (25, 0)),
        (None, records.Checkpoint(RID, 1, 40, 900, 5, 200), (25, 40)),
        (None, records.Checkpoint(RID, 1, 3, 900, 5, 200, TokenUsage(input=7, output=9)), (7, 9)),
        (None, records.Checkpoint(RID, 1, 12, 900, 5, 200, TokenUsage(input=7, output=9)), (7, 12)),
    ],
)
def test_an_orphan_that_was_sent_costs_the_tokens_that_were_seen(journal, checkpoint, tokens):
    record = interrupted.orphaned(request(checkpoint=checkpoint), seen(done=journal), charges())
    assert (record.tokens.input, record.tokens.output) == tokens
    assert record.cost_nanousd == tokens[0] * 1_000 + tokens[1] * 2_000
    assert record.outcome == "interrupted" and record.cost_estimated


def test_an_orphan_that_its_provider_refused_is_free():
    record = interrupted.orphaned(request(), seen(done=done(429)), charges())
    assert (record.outcome, record.cost_nanousd, record.tokens) == ("interrupted", 0, None)


def test_every_attempt_that_the_journal_names_is_in_the_record():
    evidence = seen(1, done(503)) | seen(2) | seen(3)
    record = interrupted.orphaned(request(tries=3), evidence, charges())
    assert [attempt.id for attempt in record.attempts] == [f"{RID}-{number}" for number in (1, 2, 3)]
    assert [attempt.cost_nanousd for attempt in record.attempts] == [0, 25_000, 25_000]


def test_a_settlement_that_cannot_be_read_is_charged_its_input():
    record = interrupted.unreadable(request(), charges())
    assert (record.outcome, record.cost_nanousd) == ("interrupted", 25_000)
    assert "got lost" in record.estimate_reason
