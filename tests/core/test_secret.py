"""A secret does not print itself."""

import pickle

import pytest

from switchgear.core.secret import Secret


def test_no_text_form_shows_the_value():
    secret = Secret(b"sk-verysecretvalue")
    assert "verysecret" not in f"{secret} {secret!r} {[secret]}"
    assert secret.last4() == "alue"
    assert Secret(b"short").last4() == ""


def test_a_secret_cannot_be_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(Secret(b"x"))


def test_the_value_comes_out_by_name_alone():
    assert Secret(b"sk-verysecretvalue").reveal() == b"sk-verysecretvalue"
