"""Subjects of freezes."""

import pytest

from switchgear.control import freezing
from switchgear.core.errors import UserError


def test_subjects_are_read():
    assert freezing.parse("all") == ("all", "")
    assert freezing.parse("model:a:b/c") == ("model", "a:b/c")
    assert freezing.parse("credential:openai") == ("credential", "openai/default")
    assert freezing.parse("credential:openai/main") == ("credential", "openai/main")


@pytest.mark.parametrize("subject", ["", "key", "key:", "all:x", "planet:x", "model"])
def test_what_is_no_subject_is_refused(subject):
    with pytest.raises(UserError) as refused:
        freezing.parse(subject)
    assert refused.value.exit_code == 2
