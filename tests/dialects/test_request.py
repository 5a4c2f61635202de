"""What stays of a request while its answer streams."""

import sys

from switchgear.dialects.request_reader import parse


def test_a_request_that_lets_go_keeps_its_small_values_and_not_the_body():
    large = b'{"model":"m","store":false,"messages":[{"role":"user","content":"%b"}],"stream":true}' % (b"x" * 100_000)
    asked = parse(large, "openai", "chat")
    before = sys.getrefcount(large)
    asked.let_go()
    assert bytes(asked.fields["store"]) == b"false" and bytes(asked.fields["messages"]) == b"null"
    assert sys.getrefcount(large) < before, "nothing of it points into the body any more"
