"""What goes from a head into a text for the shell."""

import pytest

from switchgear.edge.local_answers import PLAIN_HOST


@pytest.mark.parametrize(
    "host", [b"127.0.0.1:4100", b"localhost", b"gateway.example.com:443", b"[::1]:4100", b"[fd00::1]"]
)
def test_plain_hosts_stand_in_the_guide(host):
    assert PLAIN_HOST.fullmatch(host)


@pytest.mark.parametrize(
    "host",
    [b"", b"a;id", b"a$(id)", b"a'b", b'a"b', b"a`id`", b"a b", b"a\n", b"a/b", b"-x", b"a:4100;x", b"a:", b"[::1", b"a&b", b"a|b", b"a_b"],
)  # fmt: skip
def test_a_host_that_a_shell_could_read_is_refused(host):
    assert not PLAIN_HOST.fullmatch(host)
