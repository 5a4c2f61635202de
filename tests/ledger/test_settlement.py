"""A settlement's row and what follows from it."""

import msgspec
import pytest
from tests.ledger.test_charges import charges
from tests.ledger.test_claims import RID, opened, settled

from switchgear.core.usage import TokenUsage
from switchgear.ledger import settlement
from switchgear.ledger.batch import Batch
from switchgear.wire import records


def booked(settle, tries=1):
    batch, said = Batch(), []
    request = opened(tries=tries)
    request.raw = records.encode_payload(request.reserve)
    settlement.book(batch, request, settle, records.encode_payload(settle), charges(), said.append)
    return batch, said


def test_a_settlement_is_booked_at_its_computed_cost():
    batch, said = booked(settled([200], tokens=(10, 5), cost=20_000))
    assert said == [] and batch.rows[0][10] == 20_000
    assert batch.timings == [("a", "a/m", 200, 5, None)]
    assert list(batch.attempts) == [f"{RID}-1"]


@pytest.mark.parametrize(
    ("tokens", "cost", "amount", "words"),
    [((10, 5), 1, 20_000, "does not follow"), ((-1, 5), 0, 0, "absurd usage"), ((10**12, 0), None, None, "absurd")],
)
def test_a_settlement_that_lies_is_found_and_booked_by_its_usage(tokens, cost, amount, words):
    batch, said = booked(settled([200], tokens=tokens, cost=cost))
    assert words in said[0]
    assert batch.rows[0][10] == amount


def test_the_last_answer_of_each_credential_is_heard():
    batch, _ = booked(settled([401, 200], cost=20_000), tries=2)
    assert {name: status for name, (status, _) in batch.heard.items()} == {"a/c": 401, "b/c": 200}


def test_an_attempt_without_an_answer_says_nothing_of_its_credential():
    batch, _ = booked(settled([None], "upstream_error", None, 0, 502))
    assert batch.heard == {}


def test_a_failed_attempt_counts_as_failed_and_its_usage_as_the_place_of_its_own():
    first = records.AttemptOutcome(1, None, "timeout", 0, None, 4, None, None, TokenUsage(input=5), 5_000, True)
    last = records.AttemptOutcome(2, 200, None, 4, 6, 8, None, None)
    settle = records.Settle(RID, 200, "ok", [first, last], TokenUsage(input=1), 1_000, None, None, None, None, 0, 8, 1)
    batch, said = booked(settle, tries=2)
    failed = {dimensions[-1]: sums.failed_attempts for dimensions, sums in batch.sums.items()}
    assert said == [] and failed == {"a/c": 1, "b/c": 0}
    assert batch.rows[0][10] == 6_000


def test_ids_that_a_provider_keeps_belong_to_the_reservations_caller():
    batch, request = Batch(), opened()
    settlement.note_kept(batch, request, ["file-1", "file-2"])
    assert set(batch.stored) == {"file-1", "file-2"}
    assert batch.stored["file-1"].credential_id == "a/c"


@pytest.mark.parametrize(
    ("state", "answer_id", "pending"),
    [
        ("queued", "resp_1", True),
        (None, "resp_1", False),
        ("completed", "resp_1", False),
        ("in_progress", "b_1", False),
    ],
)
def test_an_answer_that_a_raw_path_began_is_corrected_later(state, answer_id, pending):
    request = opened()
    request.callee = msgspec.structs.replace(request.callee, operation="passthrough", dialect="openai")
    request.raw = records.encode_payload(request.reserve)
    settle = msgspec.structs.replace(
        settled([200], tokens=(10, 0), cost=10_000), finish_reason=state, response_id=answer_id
    )
    batch = Batch()
    settlement.book(batch, request, settle, records.encode_payload(settle), charges(), lambda text: None)
    assert (answer_id in batch.pending, answer_id in batch.stored) == (pending, pending)
