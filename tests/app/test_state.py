"""What survives the re-exec comes out as it went in, and holds no secret of its own."""

import msgspec

from switchgear.app import boot as boots
from switchgear.app.state import SupervisorState
from switchgear.config_files.sources import Sources
from switchgear.core.secret import Secret


def test_a_state_comes_through_a_descriptor_unchanged():
    state = SupervisorState(
        data="/d",
        workers=3,
        data_fds=[3],
        console_fds=[4],
        data_url="https://0.0.0.0:1",
        console_url="http://127.0.0.1:2",
        lock_fd=5,
        configuration=msgspec.Raw(b'{"compiled":{}}'),
        config_sources=Sources(["/a"], ["/b*"], "d"),
        identity_hosts=["x"],
        uid_base=59100,
    )
    copy = boots.from_fd(boots.to_fd(state), SupervisorState)
    assert msgspec.json.encode(copy) == msgspec.json.encode(state)


def test_no_field_of_it_is_a_secret():
    assert all(field.type is not Secret for field in msgspec.structs.fields(SupervisorState))
