"""What attempts share: routes that were judged, and runs that are dead."""

import msgspec
import pytest
from tests.vault.rig import FakeBox, fails, frames_of, hello, opening, run

from switchgear.core.errors import RefusedError
from switchgear.vault import service, verbs
from switchgear.wire import frames


@pytest.mark.parametrize("name", ["first_byte_s", "idle_s", "total_s", "connect_s"])
@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, 0.0, 1e9])
def test_a_deadline_that_is_none_is_refused(name, seconds):
    async def scenario(made, link, transport, reports):
        link.data_received(hello() + opening(1, 2, b"{}", True, **{name: seconds}))
        (fail,) = fails(await frames_of(transport))
        assert fail.reason == "refused" and "deadline" in fail.message and not made.pool.asked

    run(scenario, box=FakeBox())


def test_only_short_routes_are_known_again():
    async def scenario(made, link, transport, reports):
        for size, known in ((10, 1), (3_000, 0)):
            made._routes.clear()
            route = frames.UpstreamRoute(
                "p/c", "POST", "/chat/completions", [(b"anthropic-beta", b"b" * size)], 9, 9, 9, 9
            )
            made.prepare(msgspec.Raw(frames.encode_payload(route)))
            assert len(made._routes) == known
        link.connection_lost(None)

    run(scenario, box=FakeBox())


def test_L5_a_run_is_fenced_for_its_own_spool_only():
    """A compromised edge writes orphans of the other edge's run: control must not end that one for it."""

    async def scenario(made, link, transport, reports):
        link.data_received(hello())  # its spool is ""
        assert not transport.aborted

        def fence(run_id, spool_id):
            made.fence(verbs.Fence(run_id, spool_id))

        with pytest.raises(RefusedError, match=frames.FOREIGN_RUN):
            fence("r1", "another")
        assert made.fenced == {} and link in made.links
        fence("r-dead", "another")
        fence("r1", "")
        assert list(made.fenced) == ["r-dead", "r1"]
        for number in range(service.FENCED_MAX + 5):
            fence(f"x{number}", "another")
        assert len(made.fenced) == service.FENCED_MAX

    run(scenario)
