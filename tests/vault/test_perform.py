"""What the vault does for each verb of control's."""

import msgspec
from tests.vault.rig import FakeBox, frames_of, hello, run

from switchgear.net.upstream import INTERNAL
from switchgear.vault import verbs
from switchgear.vault.perform import RUNS
from switchgear.wire import frames
from switchgear.wire.frames import FrameType


def test_every_verb_is_done_and_no_other():
    assert [row.verb for row in RUNS.values()] == list(verbs.VERBS)
    assert list(RUNS) == [verb.name for verb in verbs.VERBS]


def test_C4_no_verb_answers_with_a_secret_or_takes_a_path():
    answers = {verb.name: verb.answer for verb in verbs.VERBS if verb.answer not in {type(None), verbs.Metadata}}
    assert answers == {
        "list": list[verbs.Metadata],
        "test": verbs.TestResult,
        "recognise": dict[str, str],
        "versions": dict[str, int],
        "status": verbs.Status,
    }
    assert "secret" not in {field for kind in (verbs.Metadata, verbs.Status) for field in kind.__struct_fields__}


def test_a_fault_of_one_verb_is_an_answer_and_the_link_stays():
    def verb(stream, name):
        body = frames.encode_payload(frames.Question(name, msgspec.Raw(frames.encode_payload(None))))
        return frames.encode(FrameType.VERB, stream, body)

    async def scenario(made, link, transport, reports):
        link.data_received(hello(role="control"))
        await frames_of(transport)
        made.box.list = None
        link.data_received(verb(1, "list") + verb(2, "status") + verb(3, "nonsense"))
        answers = [msgspec.msgpack.decode(payload, type=frames.Answer) for _, _, payload in await frames_of(transport)]
        assert [answer.ok for answer in answers] == [False, True, False] and not transport.aborted
        assert answers[0].message == INTERNAL
        status = msgspec.msgpack.decode(answers[1].body, type=verbs.Status)
        assert (status.faults, status.links, status.attempts) == (1, 1, 0) and len(status.places) == 1

    run(scenario, box=FakeBox())
