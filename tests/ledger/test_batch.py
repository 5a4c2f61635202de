"""What a batch adds up: requests, attempts and costs by their dimensions."""

from tests.ledger.test_claims import RID

from switchgear.core.usage import TokenUsage
from switchgear.ledger.batch import Batch, Try

DIMENSIONS = ("k", "bot", "team", "", "", "fast", "m", "a", "a/c")


def add(batch, request_id=RID, **more):
    values = {
        "status": 200,
        "outcome": "ok",
        "cost_nanousd": 100,
        "list_nanousd": 120,
        "latency_ms": 5,
        "usage": TokenUsage(input=10, output=5),
        "attempts": 1,
    }
    batch.add(request_id, DIMENSIONS, b"row", **(values | more))


def test_requests_of_one_hour_and_place_share_a_sum():
    batch = Batch()
    add(batch)
    add(batch, RID[:-1] + "9")
    [sums] = batch.sums.values()
    assert (sums.requests, sums.attempts, sums.input_tokens, sums.cost_nanousd, sums.list_cost_nanousd) == (
        2,
        2,
        20,
        200,
        240,
    )
    assert len(batch.rows) == 2


def test_an_id_that_comes_twice_is_added_once():
    batch = Batch()
    add(batch)
    add(batch)
    assert len(batch.rows) == 1


def test_an_id_that_the_store_knows_is_left_out():
    batch = Batch(lambda request_id: request_id == RID)
    add(batch)
    assert batch.rows == [] and batch.sums == {}


def test_an_earlier_attempt_is_summed_at_its_own_place_and_its_cost_is_the_requests():
    batch = Batch()
    earlier = Try(
        upstream_model="n",
        provider="b",
        credential_id="b/d",
        usage=TokenUsage(input=7),
        cost_nanousd=50,
        list_nanousd=50,
        failed=True,
    )
    add(batch, before=[earlier])
    sums = {dimensions[-2]: values for dimensions, values in batch.sums.items()}
    assert (sums["a"].requests, sums["b"].requests) == (1, 0)
    assert (sums["b"].attempts, sums["b"].failed_attempts, sums["b"].cost_nanousd) == (1, 1, 50)
    assert batch.rows[0][10] == 150
    assert batch.tried == [("b", RID)]


def test_an_earlier_attempt_without_a_price_leaves_the_cost_unknown():
    batch = Batch()
    earlier = Try(
        upstream_model="n",
        provider="a",
        credential_id="a/d",
        usage=TokenUsage(input=7),
        cost_nanousd=None,
        list_nanousd=None,
        failed=True,
    )
    add(batch, before=[earlier])
    assert batch.rows[0][10] is None
    assert sum(sums.unpriced_requests for sums in batch.sums.values()) == 1


def test_rows_that_are_forgotten_leave_their_sums():
    batch = Batch()
    add(batch)
    batch.forget_rows()
    assert batch.rows == [] and len(batch.sums) == 1
