"""The edge's end of the link: what is odd about one stream ends that stream, and a link that is lost is made again."""

import asyncio

import pytest
from tests import doors

from switchgear.core.errors import RefusedError
from switchgear.net import link as module
from switchgear.net import unix
from switchgear.net.link import WINDOW_BYTES, LinkClient
from switchgear.testing.faults import LoudGuard
from switchgear.testing.patience import let_pass, until_it_is
from switchgear.wire import frames
from switchgear.wire.frames import END, FrameType
from switchgear.wire.verbs import Verb

HELLO = frames.encode(
    FrameType.HELLO, 0, frames.encode_payload(frames.Hello(frames.PROTOCOL_VERSION, "vault", "", "s", "r"))
)


class Owner:
    """Keeps what it hears, and raises where it is told to."""

    def __init__(self, odd=""):
        self.heard = []
        self.odd = odd

    def _hear(self, what):
        self.heard.append(what)
        if what == self.odd:
            raise LookupError(what)

    def on_response(self, head, body, ended):
        self._hear("response")

    def on_body(self, data, ended):
        self._hear("body")

    def on_fail(self, fail):
        self._hear("fail")

    def on_fault(self, exc):
        self.heard.append("fault")
        if self.odd == "twice":
            raise LookupError


class Vault:
    """The other end, as bare as it can be."""

    def __init__(self):
        self.connections = []
        self.frames = []
        self.greets = True

    async def start(self, folder):
        self.server = await asyncio.start_unix_server(self._serve, sock=unix.bind(folder, "vault.sock"))

    async def _serve(self, reader, writer):
        self.connections.append(writer)
        if self.greets:
            writer.write(HELLO)
        decoder = frames.Decoder()
        while data := await reader.read(65_536):
            self.frames += decoder.feed(data)
        writer.close()

    def send(self, kind, stream, payload, flags=0):
        self.connections[-1].write(frames.encode(kind, stream, payload, flags))

    def head(self, stream, flags=0):
        payload = frames.encode_payload(frames.Head(200, [], None))
        self.connections[-1].write(frames.encode_with_head(FrameType.HEAD, stream, payload, b"x", flags))


def run(tmp_path, scenario):
    async def body():
        guard, vault = LoudGuard(), Vault()
        await vault.start(tmp_path)
        hello = frames.Hello(frames.PROTOCOL_VERSION, "edge", "t", "s", "r")
        link = LinkClient(tmp_path, lambda: hello, lambda: asyncio.get_running_loop().call_soon(link.flush), guard)
        link.start()
        await until_it_is(lambda: link.is_up)
        try:
            await scenario(link, vault, guard)
        finally:
            link.close()
            vault.server.close()
            for writer in vault.connections:
                writer.close()
            await let_pass()

    asyncio.run(body())


def opened(link, odd=""):
    owner = Owner(odd)
    stream = link.open(frames.Open("r-1", 2, frames.msgspec.Raw(b"\xc0")), b"{}", owner)
    return owner, stream.id


@pytest.mark.parametrize("odd", ["response", "body", "fail", "twice"])
def test_a_fault_of_one_stream_ends_the_stream_and_leaves_the_link_and_other_streams(odd, tmp_path):
    async def scenario(link, vault, guard):
        owner, number = opened(link, "response" if odd == "twice" else odd)
        if odd == "twice":
            owner._hear, owner.odd = lambda what: 1 / 0, "twice"
        other, fine = opened(link)
        await until_it_is(lambda: len(vault.frames) >= 3)
        vault.head(number)
        vault.send(FrameType.DATA, number, b"y")
        vault.send(FrameType.FAIL, number, frames.encode_payload(frames.Fail("broken", "", True)))
        vault.head(fine)
        vault.send(FrameType.DATA, fine, b"y", END)
        await until_it_is(lambda: other.heard == ["response", "body"])
        assert link.is_up and len(vault.connections) == 1
        assert owner.heard.count("fault") == 1 and (odd == "twice" or owner.heard[-2] == odd)
        assert guard.faults == (1 if odd == "twice" else 0), "the owner tells; only its own fault is told here"
        if odd in {"response", "body"}:
            await until_it_is(lambda: any(kind == FrameType.CANCEL and n == number for kind, n, *_ in vault.frames))

    run(tmp_path, scenario)


def test_a_frame_of_one_stream_that_cannot_be_read_ends_that_stream(tmp_path):
    async def scenario(link, vault, guard):
        (owner, number), (other, fine) = opened(link), opened(link)
        vault.send(FrameType.HEAD, number, b"\xff\xff\xff")
        vault.head(fine, END)
        await until_it_is(lambda: other.heard == ["response"])
        assert owner.heard == ["fault"] and link.is_up

    run(tmp_path, scenario)


def test_bytes_that_are_no_frame_end_the_link_and_a_new_link_is_made(tmp_path):
    async def scenario(link, vault, guard):
        owner, _ = opened(link)
        vault.connections[-1].write(b"\xff" * 64)
        await until_it_is(lambda: owner.heard == ["fail"])
        await until_it_is(lambda: len(vault.connections) == 2 and link.is_up)

    run(tmp_path, scenario)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["connection_made", "connection_lost", "data_received", "_connect", "pause_writing"])
def test_a_fault_of_the_link_itself_ends_its_streams_and_it_is_made_again(name, when, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HELLO_S", 0.2)

    async def scenario(link, vault, guard):
        owner, _ = opened(link)
        left = [1]

        def odd(*_):
            if left:
                left.pop()
                raise LookupError

        rig = doors.Rig(("switchgear.net.link", f"LinkClient.{name}"), **{when: odd})
        try:
            if name == "pause_writing":
                link.pause_writing()
            elif name == "data_received":
                vault.head(1)
            else:
                vault.connections[-1].close()
            if (name, when) == ("_connect", "after"):  # the one that is running began before the rig
                await until_it_is(lambda: len(vault.connections) == 2 and link.is_up)
                vault.connections[-1].close()
            await until_it_is(lambda: guard.faults == 1)
            await until_it_is(lambda: owner.heard and owner.heard[-1] == "fail")
            await until_it_is(
                lambda: link.is_up and len(vault.connections) > 1 and not vault.connections[-1].is_closing()
            )
        finally:
            rig.undo()
        other, number = opened(link)
        vault.head(number, END)
        await until_it_is(lambda: other.heard == ["response"])

    run(tmp_path, scenario)


def test_a_vault_that_does_not_greet_is_left_and_asked_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HELLO_S", 0.1)

    async def scenario(link, vault, guard):
        vault.greets = False
        vault.connections[-1].close()
        await until_it_is(lambda: len(vault.connections) >= 3)
        vault.greets = True
        await until_it_is(lambda: link.is_up)

    run(tmp_path, scenario)


def test_L1_a_body_is_sent_as_far_as_the_window_goes(tmp_path):
    async def scenario(link, vault, guard):
        owner = Owner()
        body = b"x" * (2 * WINDOW_BYTES)
        stream = link.open(frames.Open("r-1", len(body), frames.msgspec.Raw(b"\xc0")), body, owner)

        def sizes():
            return [len(payload) for kind, _, _, payload in vault.frames if kind == FrameType.BODY]

        await until_it_is(lambda: sum(sizes()) >= WINDOW_BYTES)
        for more in (1_000, 1):  # what was sent too much after the first would come before the second's
            allowed = sum(sizes()) + more
            vault.connections[-1].write(frames.encode_window(stream.id, more))
            await until_it_is(lambda allowed=allowed: sum(sizes()) >= allowed)
        assert sizes()[-2:] == [1_000, 1] and sum(sizes()) == WINDOW_BYTES + 1_001

    run(tmp_path, scenario)


def test_a_question_over_the_size_of_a_frame_is_refused_and_the_link_stays(tmp_path):
    async def scenario(link, vault, guard):
        with pytest.raises(RefusedError, match="bytes"):
            await link.ask(Verb("put", str, str), "x" * frames.PAYLOAD_BYTES_MAX, 5.0)
        assert link.is_up

    run(tmp_path, scenario)
