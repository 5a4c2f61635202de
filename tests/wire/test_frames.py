"""Frames of the link: every cut, unknown types, bounds."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core.errors import FrameError
from switchgear.wire import frames
from switchgear.wire.frames import END, Decoder, FrameType

payloads = st.binary(max_size=300)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(FrameType)), st.integers(0, 2**32 - 1), payloads, st.sampled_from([0, END]))
    ),
    st.data(),
)
def test_L1_every_cut_gives_the_same_frames(sent, data):
    stream = b"".join(frames.encode(kind, stream, payload, flags) for kind, stream, payload, flags in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder, got, last = Decoder(), [], 0
    for cut in [*cuts, len(stream)]:
        got += decoder.feed(stream[last:cut])
        last = cut
    assert got == [(kind, number, flags, payload) for kind, number, payload, flags in sent]


@pytest.mark.parametrize(
    "raw",
    [
        frames.HEADER.pack(1, 1, 99, 0, 0) + b"x",
        frames.HEADER.pack(frames.PAYLOAD_BYTES_MAX + 1, 1, 2, 0, 0),
        frames.HEADER.pack(1, 1, 2, 2, 0) + b"x",
        frames.HEADER.pack(1, 1, 2, 0, 1) + b"x",
    ],
)
def test_L1_an_unknown_frame_is_an_error(raw):
    with pytest.raises(FrameError):
        Decoder().feed(raw)


@given(st.binary(max_size=500), payloads)
def test_inline_bodies_come_back(head, body):
    frame = frames.encode_with_head(FrameType.OPEN, 7, head, body, END)
    [(kind, stream, flags, payload)] = Decoder().feed(frame)
    assert (kind, stream, flags) == (FrameType.OPEN, 7, END)
    assert frames.split_head(payload) == (head, body)


def test_a_cut_inline_head_is_an_error():
    with pytest.raises(FrameError):
        frames.split_head(b"\xff\xffabc")


@given(st.binary(max_size=400))
def test_garbage_is_a_frame_error_or_incomplete(data):
    with contextlib.suppress(FrameError):
        Decoder().feed(data)
