"""Multipart forms: the model is found and replaced, the rest is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.dialects import forms
from switchgear.dialects.json_node import InvalidBodyError

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
def test_a_form_of_garbage_is_refused(data):
    with pytest.raises(InvalidBodyError):
        forms.parse(KIND, b"--XyZ" + data)


def test_a_multipart_form_is_known_by_its_content_type():
    assert (
        forms.is_form(b'Multipart/Form-Data; boundary="a b"')
        and not forms.is_form(b"application/json")
        and not forms.is_form(None)
    )


MODEL = (b"model", b"m", b"")


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data; x-boundary=AAA; boundary=XyZ",
        b"multipart/form-data; boundary=XyZ; boundary=AAA",
        b'multipart/form-data; x="; boundary=AAA"; boundary=XyZ',
        b"multipart/form-data; boundary*=utf-8''XyZ",
        b"multipart/form-data; boundary=XyZ; boundary*=utf-8''AAA",
        b"multipart/form-data; boundary*0=Xy; boundary*1=Z",
        b'multipart/form-data; boundary="Xy\\Z"',
        b'multipart/form-data; boundary="XyZ ',
        b"multipart/form-data, boundary=XyZ",
        b"multipart/mixed; boundary=XyZ",
    ],
)
def test_a_content_type_that_names_its_boundary_in_two_ways_is_refused(kind):
    with pytest.raises(InvalidBodyError):
        forms.parse(kind, form(MODEL))


@pytest.mark.parametrize(
    "kind", [b'multipart/form-data;boundary="XyZ"', b"Multipart/Form-Data; Boundary=XyZ; charset=utf-8"]
)
def test_one_plain_boundary_is_taken(kind):
    assert forms.parse(kind, form(MODEL)).texts == {"model": "m"}


BODY = form(MODEL, (b"user", b"ann", b""))


@pytest.mark.parametrize(
    "body",
    [
        BODY.replace(b"\r\n", b"\n"),
        BODY.replace(b"\r\n--XyZ\r\nContent-Disposition: form-data; name=\"user\"", b"\n--XyZ\r\nContent-Disposition: form-data; name=\"user\""),
        BODY.replace(b"ann\r\n", b"ann\n--XyZ\nContent-Disposition: form-data; name=\"model\"\n\nn\r\n"),
        BODY.replace(b"ann\r\n", b"ann\r--XyZ\r\n"),
        BODY.replace(b'name="user"', b'name="user"\n\nx'),
        BODY.replace(b'; name="user"', b';\r\n name="user"'),
        BODY.replace(b'name="user"', b'name="user"\r\nContent-Transfer-Encoding: quoted-printable'),
        BODY.replace(b'name="user"', b'name="Model"'),
        BODY.replace(b'name="user"', b'name="model[]"'),
        BODY.replace(b'name="user"', b'name="_charset_"'),
        BODY.replace(b'name="user"', b'name="user"; filename="x"'),
        BODY.replace(b'name="model"', b'name="model"; filename="x"'),
        BODY.replace(b'name="model"', b'name="model"\r\nContent-Type: text/plain; charset=utf-16'),
        BODY.replace(b"--XyZ\r\nContent-Disposition: form-data; name=\"user\"", b"--XyZ \r\nContent-Disposition: form-data; name=\"user\""),
        BODY.replace(b"ann", b"ann\r\n--XyZA\r\nb"),
        BODY + form(MODEL),
        form(MODEL, (b"stream", b"true", b""), (b"stream", b"false", b"")),
        b"preamble\r\n" + BODY,
    ],
)  # fmt: skip
def test_a_form_that_servers_read_in_two_ways_is_refused(body):
    with pytest.raises(InvalidBodyError):
        forms.parse(KIND, body)


def test_a_form_without_a_model_is_taken_where_none_is_needed():
    assert forms.parse(KIND, form((b"purpose", b"batch", b"")), needs_model=False).texts == {"purpose": "batch"}
