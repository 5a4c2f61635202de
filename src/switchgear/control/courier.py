"""Control's hand on the courier: questions to it, and what is asked through it. Level 5."""

from switchgear.core.errors import RefusedError, UserError
from switchgear.courier import verbs
from switchgear.courier.verbs import CourierStatus, Request
from switchgear.detect import osv
from switchgear.detect.finding import Finding
from switchgear.net.link import LinkClient
from switchgear.wire.verbs import A, B, Verb

PATIENCE_S = (5.0, 15.0)
"""For what may be asked again: a courier that was just started again answers the second time."""
ONCE_S = 45.0
"""For a request, which has deadlines of its own."""
OSV = "osv"
"""The destination that `doctor --online` asks."""
OSV_HINT = "add it: courier: {destinations: {osv: {url: https://api.osv.dev}}}, and start the gateway again"


class CourierRefusedError(UserError):
    """The courier refused, or its destination did not answer."""


class Courier:
    """Asks the courier, where the configuration has one."""

    def __init__(self, link: LinkClient | None) -> None:
        self._link = link

    async def ask(self, verb: Verb[B, A], body: B) -> A:
        """Ask. Raises UserError when there is none, when it refuses or is away. What must not be done twice is asked once."""
        if self._link is None:
            raise UserError(
                "the configuration names no destination outside: there is no courier", "see docs/configuration.md", 2
            )
        for patience_s in (ONCE_S,) if verb.once else PATIENCE_S:
            try:
                return await self._link.ask(verb, body, patience_s)
            except RefusedError as exc:
                raise CourierRefusedError(str(exc)) from None
            except (ConnectionError, TimeoutError):
                continue
        raise UserError("the courier does not answer", "see `switchgear status`; try again")

    async def status(self) -> CourierStatus | None:
        """Return what the courier says of itself; None where there is none."""
        if self._link is None:
            return None
        answer: CourierStatus = await self.ask(verbs.STATUS, None)
        return answer

    async def ask_osv(self, packages: list[tuple[str, str]]) -> list[Finding]:
        """Ask OSV about installed packages. Raises UserError when the configuration does not name it, or the courier is away; a
        source that does not answer is a hint."""
        status = await self.status()
        if status is None or OSV not in {one.name for one in status.destinations}:
            raise UserError(f"the configuration has no destination {OSV!r}", OSV_HINT)
        request = Request(
            destination=OSV,
            method="POST",
            path=osv.PATH,
            content_type="application/json",
            body=osv.question(packages),
        )
        try:
            reply = await self.ask(verbs.SEND, request)
        except CourierRefusedError as exc:
            return [osv.unasked(str(exc))]
        return osv.judge(packages, reply.status, reply.body)
