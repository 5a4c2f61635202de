"""How the vault does what control asks of it: a row for each verb of `vault/verbs`. Level 3."""

from collections.abc import Callable
from typing import Protocol

from switchgear.core.clock import Clock
from switchgear.net.performer import Run, at_once, later, table
from switchgear.net.upstream import INTERNAL, Deadlines, Failure, Pool, UpstreamConnection
from switchgear.vault import egress, verbs
from switchgear.vault.box import Box, OpenCredential
from switchgear.vault.token_fetcher import TokenFetcher
from switchgear.vault.verbs import CredentialName, Fence, Metadata, State, Status, TestResult
from switchgear.wire import frames
from switchgear.wire.http_responses import ResponseHead


class VerbService(Protocol):
    """What verbs need of the process."""

    box: Box
    pool: Pool
    token_fetcher: TokenFetcher
    clock: Clock

    def status(self) -> Status:
        """Return what it says of itself."""
        ...

    def fence(self, fence: Fence) -> None:
        """Refuse a dead run for ever. Raises RefusedError."""
        ...


class Tester:
    """The verb `test`: one cheap authenticated call (GET /models) with a credential."""

    def __init__(self, done: Callable[[TestResult], None], pool: Pool) -> None:
        self._done = done
        self._pool = pool
        self._status: int | None = None

    def on_fault(self, exc: Exception) -> None:
        """Receiver: tell it, and that there is no answer."""
        self._pool.guard.caught(exc, verb="test")
        self._done(TestResult(False, INTERNAL))

    def begin(self, credential: OpenCredential) -> None:
        """Connect and ask."""
        version = [(b"anthropic-version", b"2023-06-01")]  # Anthropic demands it, nobody else minds
        route = frames.UpstreamRoute(credential.item.id, "GET", "/models", version, 20.0, 20.0, 20.0, 10.0)
        request = egress.build_head(route, credential) + b"\r\n"
        endpoint = credential.item.context.endpoint

        def connected(connection: UpstreamConnection) -> None:
            connection.send([request], self, Deadlines(10.0, 20.0, 20.0, 20.0))

        self._pool.connect((credential.item.id, "test"), endpoint, 10.0, connected, self.on_failure)

    def on_data(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        """Receiver: only the status counts; the body is not shown to anybody."""
        if head is not None:
            self._status = head.status
        if complete:
            status = self._status or 0
            good = 200 <= status < 300
            why = ": it does not accept this credential" if status in {401, 403} else ""
            self._done(TestResult(good, f"the provider answered {status}{why}"))

    def on_failure(self, failure: Failure) -> None:
        """Receiver: no answer."""
        self._done(TestResult(False, failure.message))


def _set(state: State) -> Callable[[VerbService, CredentialName], Metadata]:
    return lambda service, name: service.box.set_state(name.id, state, service.clock.wall_ms())


def _test(service: VerbService, name: CredentialName, done: Callable[[TestResult], None]) -> None:
    credential = service.box.find(name.id)
    if credential is None:
        done(TestResult(False, "the credential is not active, or the KEK does not open it"))
    elif credential.auth is not None:
        given = (
            "a token was given" if credential.auth.can_fetch else "the keys are well-formed; call a model to be sure"
        )
        service.token_fetcher.authorize(credential, lambda reason: done(TestResult(reason is None, reason or given)))
    else:
        Tester(done, service.pool).begin(credential)


RUNS: dict[str, Run[VerbService]] = table(
    (
        at_once(verbs.PUT, lambda service, put: service.box.put(put, service.clock.wall_ms())),
        at_once(verbs.DISABLE, _set("disabled")),
        at_once(verbs.ENABLE, _set("active")),
        at_once(verbs.REMOVE, _set("removed")),
        at_once(verbs.LIST, lambda service, _: service.box.list()),
        later(verbs.TEST, _test),
        at_once(verbs.RECOGNISE, lambda service, digests: service.box.recognise(digests)),
        at_once(verbs.VERSIONS, lambda service, _: service.box.versions()),
        at_once(verbs.STATUS, lambda service, _: service.status()),
        at_once(verbs.FENCE, lambda service, fence: service.fence(fence)),
        at_once(verbs.BIND_STORE, lambda service, store_id: service.box.bind_store(store_id)),
    )
)
