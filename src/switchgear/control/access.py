"""Who may use the admin API: tokens for automation, and one-time links to the console. Level 5.

What ended stays so although its row comes back: its hash is remembered outside of the store (control/seen).
"""

import asyncio
import hashlib
from collections.abc import Iterable

from sqlalchemy import Connection

from switchgear.control.handle import Control
from switchgear.control.seen import Seen
from switchgear.core.errors import ConflictError, UserError
from switchgear.store import objects

LINK_MS = 15 * 60_000
SESSION_MS = 12 * 3_600_000
PREFIX = "sgat-"


class Access:
    """Tokens and links; the store has their hashes only."""

    def __init__(self, control: Control, seen: Seen) -> None:
        self._control = control
        self._seen = seen

    async def role_of(self, token: str) -> tuple[str, str] | None:
        """Return the (name, role) of a token that holds now; None when there is none."""
        if not token.startswith(PREFIX):
            return None
        digest = hashlib.sha256(token.encode()).digest()
        if self._seen.has_ended(digest):
            return None
        now = self._control.clock.wall_ms()
        return await self._control.read(lambda c: objects.token_role(c, digest, "api", now))

    async def admin_link(self) -> str:
        """Make a one-time token for the console, 15 minutes."""
        token = self._control.entropy(32).hex()
        now = self._control.clock.wall_ms()
        digest = hashlib.sha256(token.encode()).digest()
        await self._control.write(
            lambda c: objects.put_token(c, digest, objects.SESSION, "link", "owner", now + LINK_MS, now)
        )
        return token

    async def use_link(self, token: str) -> str | None:
        """Trade a one-time token for a session token of 12 hours; None when it is not valid."""
        now = self._control.clock.wall_ms()
        digest = hashlib.sha256(token.encode()).digest()
        session = PREFIX + self._control.entropy(32).hex()
        if self._seen.has_ended(digest):
            return None

        def work(connection: Connection) -> bool:
            if objects.token_role(connection, digest, "link", now) is None or not objects.use_once(connection, digest):
                return False
            session_hash = hashlib.sha256(session.encode()).digest()
            objects.put_token(connection, session_hash, objects.SESSION, "api", "owner", now + SESSION_MS, now)
            objects.write_audit(connection, now, "setup link", "session.begin", "console", None)
            return True

        if not await self._control.write(work):
            return None
        await self._end([(digest, now + LINK_MS)])
        return session

    async def create_token(self, name: str, role: str, expires_ms: int | None, actor: str) -> str:
        """Make a token for automation. Raises ConflictError when the name is taken."""
        now = self._control.clock.wall_ms()
        token = PREFIX + self._control.entropy(32).hex()

        def work(connection: Connection) -> None:
            if any(row.name == name for row in objects.tokens(connection)):
                raise ConflictError(f"a token named {name!r} exists already", f"switchgear token revoke {name}")
            digest = hashlib.sha256(token.encode()).digest()
            objects.put_token(connection, digest, name, "api", role, expires_ms, now)
            objects.write_audit(connection, now, actor, "token.create", name, {"role": role, "expires_ms": expires_ms})

        await self._control.write(work)
        return token

    async def revoke_token(self, name: str, actor: str) -> None:
        """Revoke a token for automation. Raises UserError when there is none of that name."""
        now = self._control.clock.wall_ms()
        if name != objects.SESSION:
            held = await self._control.read(lambda c: objects.token_hashes(c, "api", name))
            await self._end([(digest, until_ms) for _, digest, until_ms in held])

        def work(connection: Connection) -> None:
            if name == objects.SESSION or not objects.remove_token(connection, name):
                raise UserError(f"there is no token {name[:64]!r}", "list them: switchgear token list", 2)
            objects.write_audit(connection, now, actor, "token.revoke", name, None)

        await self._control.write(work)

    async def _end(self, ended: Iterable[tuple[bytes, int | None]]) -> None:
        try:
            await asyncio.to_thread(self._seen.end_tokens, list(ended), self._control.clock.wall_ms())
        except OSError as exc:  # a full disk: this process knows it
            self._control.report(f"which tokens ended could not be kept: {exc.strerror}")
