"""Multipart forms: the model is found and replaced, the rest is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import forms
from switchgear.dialects.shape import InvalidBodyError

KIND = b"multipart/form-data; boundary=XyZ"


def form(*parts):
    out = b""
    for name, value, more in parts:
        out += b'--XyZ\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n%b\r\n' % (name, more, value)
    return out + b"--XyZ--\r\n"


FILE = (b"file", b"\x00\r\n--Xy\xff", b'; filename="model"\r\nContent-Type: audio/wav')


def test_the_model_is_replaced_in_its_place():
    body = form(FILE, (b"model", b"openai/whisper-1", b""), (b"user", b"ann", b""))
    found = forms.parse(KIND, body)
    assert found.texts == {"model": "openai/whisper-1", "user": "ann"}
    assert found.with_model("w") == body.replace(b"openai/whisper-1", b"w")


@given(st.binary(max_size=300).filter(lambda data: b"--XyZ" not in data))
def test_any_file_passes_unchanged(data):
    body = form((b"model", b"m", b""), (b"file", data, b'; filename="a.bin"'))
    assert forms.parse(KIND, body).with_model("m") == body


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (KIND, b""),
        (KIND, form(FILE)),
        (KIND, form((b"model", b"a", b""), (b"model", b"b", b""))),
        (KIND, form((b"model", b"a", b""))[:-12]),
        (KIND, b"--XyZ\r\n\r\nx\r\n--XyZ--"),
        # names that could be read in two ways, beside a plain one
        (KIND, form((b"model", b"a", b""), (b"x", b"b", b'; name="model"'))),
        (KIND, form((b"model", b"a", b""), (b'x\\"; name="model', b"b", b""))),
        (KIND, form((b"model", b"a", b""), (b"x", b"b", b"; name*=utf-8''model"))),
        (KIND, form((b"model", b"a", b""), (b"x", b"b", b'\r\nContent-Disposition: form-data; name="model"'))),
        (KIND, form((b"model", b"a", b""), (b"x", b"b", b'; filename="; name="; name="model"'))),
        (KIND, form(*[(b"x", b"1", b"")] * 70, (b"model", b"a", b""))),
        (b"multipart/form-data", form((b"model", b"a", b""))),
        (b"multipart/form-data; boundary=other", form((b"model", b"a", b""))),
    ],
)
def test_what_is_no_form_is_refused(kind, body):
    with pytest.raises(InvalidBodyError):
        forms.parse(kind, body)


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises(InvalidBodyError):
        forms.parse(KIND, b"--XyZ" + data)


def test_content_types():
    assert (
        forms.is_form(b'Multipart/Form-Data; boundary="a b"')
        and not forms.is_form(b"application/json")
        and not forms.is_form(None)
    )
