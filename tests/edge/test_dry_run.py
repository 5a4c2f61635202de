"""A dry run tells what would be done."""

import json

import pytest

from switchgear.testing.edge import NOTHING, Dialogue, Sent, chat


def test_a_dry_run_tells_and_leaves_nothing():
    talk = Dialogue()
    talk.client >> chat("up/m", {b"x-switchgear-dry-run": b"1"})
    (sent,) = talk.client.exchange.seen
    told = json.loads(sent.body)
    assert (sent.status, told["first"], told["targets"][0]["dialect"]) == (200, "up", "openai")
    talk.vault << NOTHING
    assert talk.spool.records == []


@pytest.mark.parametrize(("model", "status"), [("none/m", 404), ("cohere/m", 400)])
def test_a_request_that_would_be_refused_is_refused(model, status):
    talk = Dialogue(providers={"cohere": ("cohere",)})
    talk.client >> chat(model, {b"x-switchgear-dry-run": b"1"}, temperature="hot")
    talk.client << Sent(status)
