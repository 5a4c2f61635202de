"""Control asks the courier: once where twice would be wrong, again where it is not, and says who could not be asked."""

import asyncio

import msgspec
import pytest

from switchgear.control.courier import OSV, Courier
from switchgear.core.errors import RefusedError, UserError
from switchgear.courier import verbs
from switchgear.courier.verbs import Reply


class Link:
    """Answers with what was put here, one after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def ask(self, verb, body, timeout_s):
        self.asked.append((verb, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


STATUS = verbs.CourierStatus(faults=0, places={}, relayed=0, destinations=[])
REQUEST = verbs.Request(destination="x", method="GET", path="/")


def run(coroutine):
    return asyncio.run(coroutine)


def test_a_courier_that_was_away_is_asked_again_for_its_status():
    link = Link(ConnectionError(), STATUS)
    assert run(Courier(link).status()) == STATUS and len(link.asked) == 2


@pytest.mark.parametrize("away", [ConnectionError("gone"), TimeoutError()])
def test_a_request_is_sent_once(away):
    link = Link(away, away)
    with pytest.raises(UserError, match="does not answer"):
        run(Courier(link).ask(verbs.SEND, REQUEST))
    assert len(link.asked) == 1


def test_a_refusal_is_told_as_it_is():
    with pytest.raises(UserError, match="no destination 'osv'"):
        run(Courier(Link(RefusedError("there is no destination 'osv'"))).ask(verbs.SEND, REQUEST))


def test_without_a_courier_nothing_is_asked():
    assert run(Courier(None).status()) is None
    with pytest.raises(UserError, match="no courier"):
        run(Courier(None).ask(verbs.SEND, REQUEST))


def test_osv_that_is_not_configured_is_an_error_and_one_that_is_away_a_hint():
    with pytest.raises(UserError, match="no destination 'osv'"):
        run(Courier(Link(STATUS)).ask_osv([]))
    with pytest.raises(UserError, match="no destination 'osv'"):
        run(Courier(None).ask_osv([]))
    known = verbs.DestinationState(name=OSV, purpose="request", url="https://x", opens=True, requests=0, failures=0)
    link = Link(msgspec.structs.replace(STATUS, destinations=[known]), RefusedError("osv: no connection"))
    assert [one.id for one in run(Courier(link).ask_osv([("click", "8")]))] == ["online"]


def test_osv_is_asked_about_the_packages():
    known = verbs.DestinationState(name=OSV, purpose="request", url="https://x", opens=True, requests=0, failures=0)
    status = msgspec.structs.replace(STATUS, destinations=[known])
    link = Link(
        status, Reply(status=200, content_type="", retry_after="", body=b'{"results": [{"vulns": [{"id": "GHSA-x"}]}]}')
    )
    found = run(Courier(link).ask_osv([("click", "8.1.0")]))
    assert [one.id for one in found] == ["dependency-vulnerable-click-GHSA-x"]
    (verb, request) = link.asked[1]
    assert verb is verbs.SEND and request.destination == OSV and request.path == "/v1/querybatch"
    assert [q["package"]["name"] for q in msgspec.json.decode(request.body)["queries"]] == ["click"]
