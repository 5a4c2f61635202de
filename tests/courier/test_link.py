"""Only control, with the token of the courier's own key, is heard; what it asks for is answered."""

import asyncio
import os

import msgspec
import pytest
from tests.courier.rig import LINK_KEY, destination, service

from switchgear.courier import verbs
from switchgear.net import unix
from switchgear.wire import frames
from switchgear.wire.frames import FrameType


def hello(key=LINK_KEY, role="control", version=frames.PROTOCOL_VERSION):
    body = frames.Hello(version, role, frames.link_token(key, role, "r1"), "", "r1")
    return frames.encode(FrameType.HELLO, 0, frames.encode_payload(body))


def question(verb, body, stream=1):
    payload = frames.Question(verb, msgspec.Raw(frames.encode_payload(body)))
    return frames.encode(FrameType.VERB, stream, frames.encode_payload(payload))


def talk(data, tmp_path, uids=None):
    """Send bytes over a link of its own; returns (frames that came back, whether the link was closed, service)."""

    async def main():
        made = service([destination(443)], tmp_path)
        if uids is not None:
            made.peer_uids = frozenset(uids)
        await made.start(unix.bind(tmp_path, "courier.sock"))
        sock = unix.connect(tmp_path, "courier.sock", 5.0)
        sock.setblocking(False)
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        heard = b""
        closed = False
        try:
            writer.write(data)
            await writer.drain()
            while True:
                piece = await asyncio.wait_for(reader.read(65_536), 0.3)
                if not piece:
                    closed = True
                    break
                heard += piece
        except TimeoutError:
            pass
        except OSError:
            closed = True
        links = len(made.links)
        writer.close()
        await asyncio.sleep(0.05)
        made.stop()
        made.pool.close()
        return [(FrameType(kind), payload) for kind, _, _, payload in frames.Decoder().feed(heard)], closed, links

    return asyncio.run(main())


def test_a_question_of_control_is_answered(tmp_path):
    heard, closed, links = talk(hello() + question("status", None), tmp_path)
    assert [kind for kind, _ in heard] == [FrameType.HELLO, FrameType.ANSWER] and not closed and links == 1
    answer = msgspec.msgpack.decode(heard[1][1], type=frames.Answer)
    status = msgspec.msgpack.decode(answer.body, type=verbs.CourierStatus)
    assert answer.ok and [one.name for one in status.destinations] == ["there"]


@pytest.mark.parametrize(
    "data",
    [
        hello(b"the vault's key"),
        hello(role="edge"),
        hello(version=99),
        question("status", None),
        hello() + frames.encode(FrameType.OPEN, 1, b""),
        hello() + b"\xff" * 64,
        frames.encode(FrameType.HELLO, 0, b"\xc1"),
    ],
)
def test_P3_a_foreign_process_or_an_unexpected_frame_closes_the_link(data, tmp_path):
    heard, closed, _ = talk(data, tmp_path)
    assert closed and not any(kind == FrameType.ANSWER for kind, _ in heard)


def test_P3_a_peer_of_another_user_is_cut_off(tmp_path):
    heard, closed, links = talk(hello(), tmp_path, {os.geteuid() + 1})
    assert closed and heard == [] and links == 0


@pytest.mark.parametrize("name", ["put", "get", "read", "secret", "add", "", "relay\x00"])
def test_C4_a_verb_to_read_or_add_a_secret_is_refused(name, tmp_path):
    heard, closed, _ = talk(hello() + question(name, {"name": "there"}), tmp_path)
    answer = msgspec.msgpack.decode(heard[1][1], type=frames.Answer)
    assert not answer.ok and "unknown verb" in answer.message and not closed
