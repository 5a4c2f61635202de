"""Claims of the client."""

from hypothesis import given
from hypothesis import strategies as st

from switchgear.edge.attribute import attribute
from switchgear.wire.http_requests import RequestHead


def claims(headers):
    return attribute(RequestHead(b"POST", b"/", headers, True, False, 0, False))


def test_claims_are_read_from_the_usual_headers():
    client = claims(
        {
            b"user-agent": b"OpenAI/Python 1.2",
            b"x-stainless-retry-count": b"2",
            b"x-switchgear-tags": b"a, b,,c",
            b"x-switchgear-end-user": b"ann",
            b"x-claude-code-session-id": b"s1",
            b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        }
    )
    assert (client.tool, client.retry, client.tags) == ("OpenAI/Python 1.2", 2, ["a", "b", "c"])
    assert (client.end_user, client.end_user_source, client.session) == ("ann", "x-switchgear-end-user", "s1")
    assert client.trace_id == "0af7651916cd43dd8448eb211c80319c"


@given(
    st.dictionaries(
        st.sampled_from([b"user-agent", b"x-stainless-retry-count", b"x-switchgear-tags", b"traceparent"]),
        st.binary(max_size=300),
    )
)
def test_S4_claims_of_any_headers_are_short_and_printable(headers):
    client = claims(headers)
    for text in (client.tool, client.trace_id, *(client.tags or [])):
        assert text is None or (len(text) <= 128 and all(ord(c) >= 32 for c in text))


def test_people_sessions_and_applications_come_from_a_table():
    client = claims(
        {
            b"x-openwebui-user-id": b"u7",
            b"x-openwebui-chat-id": b"c1",
            b"x-title": b"My App",
            b"x-switchgear-tags": b"a",
        }
    )
    assert (client.end_user, client.end_user_source, client.session) == ("u7", "x-openwebui-user-id", "c1")
    assert client.tags == ["app=My App", "a"]
    assert claims({b"x-openai-subagent": b"review"}).agent == "review"


def test_a_clients_patience_is_a_positive_number_of_seconds():
    assert claims({b"x-switchgear-timeout-s": b"2.5"}).timeout_s == 2.5
    for text in (b"0", b"-1", b"soon", b"1e9", b"nan", b"inf"):
        assert claims({b"x-switchgear-timeout-s": text}).timeout_s is None
