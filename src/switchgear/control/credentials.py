"""Providers and their credentials: added, changed, removed. Secrets arrive sealed and go to the vault as they are. Level 5."""

import msgspec
from sqlalchemy import Connection

from switchgear.config.compile import NAME, ProviderSpec, check_spec
from switchgear.control import declared, holders, refusals
from switchgear.control.handle import Control
from switchgear.control.history import History
from switchgear.control.publication import Publication
from switchgear.control.refusals import Refusals
from switchgear.core.errors import UserError
from switchgear.core.text import shown
from switchgear.providers import endpoint
from switchgear.store import objects
from switchgear.vault import verbs
from switchgear.vault.verbs import CredentialName, Metadata, Put
from switchgear.wire.verbs import Verb


class Credentials:
    """What changes providers and credentials."""

    def __init__(self, control: Control, publication: Publication, history: History, refused: Refusals) -> None:
        self._control = control
        self._publication = publication
        self._history = history
        self._refusals = refused

    async def add_provider(self, spec: ProviderSpec, actor: str) -> None:
        """Add a provider to the store. Raises UserError for one that no compiler makes."""
        wrong = check_spec(spec)
        if wrong is not None:
            raise UserError(wrong, "", 2)
        declared.check_addition(self._publication.compiled, "provider", spec.name)
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> None:
            made = holders.with_ids(connection, spec, {"team": "team"})
            objects.put_object(connection, "provider", made.name, msgspec.json.encode(made), now)

        await self._control.write(work)
        await self._control.audit(actor, "provider.add", spec.name, {"base_url": spec.endpoint.url})
        self._history.remember(actor, "provider.add")
        await self._publication.publish()

    async def remove_provider(self, name: str, actor: str) -> None:
        """Remove a provider of the store; its credentials are removed from the vault. Raises UserError for one of the file."""
        declared.check_removal(self._publication.compiled, "provider", name)
        now = self._control.clock.wall_ms()
        await self._control.write(lambda c: objects.remove_object(c, "provider", name, now))
        await self._publication.publish()
        for credential in self._publication.credentials:
            if credential.provider == name:
                await self._control.ask_vault(verbs.REMOVE, CredentialName(credential.id))
        await self._control.audit(actor, "provider.remove", name)
        self._history.remember(actor, "provider.remove")
        await self._publication.publish()

    async def put(self, put: Put, spec: ProviderSpec | None, actor: str) -> Metadata:
        """Hand a sealed credential to the vault, then publish routes to it."""
        name = put.context.provider
        wrong = endpoint.check(put.context.endpoint)
        if wrong is not None:
            raise UserError(f"the credential's endpoint is not valid: {wrong}", "", 2)
        if not NAME.fullmatch(put.context.credential):
            text = "is not a name: use a-z, 0-9, '.', '_' and '-', at most 63 characters"
            raise UserError(f"{shown(put.context.credential)} {text}", "", 2)
        providers = await self._publication.all_providers()
        if name not in providers:
            if spec is None:
                raise UserError(f"there is no provider {name!r}", f"add it first: switchgear provider add {name} …", 2)
            await self.add_provider(spec, actor)
            providers = await self._publication.all_providers()
        if providers[name].place(put.context.credential) != put.context.endpoint:
            raise UserError(
                f"the credential was sealed for {put.context.endpoint.url}, not {providers[name].endpoint.url}",
                "seal it again: repeat `credential add`",
            )
        metadata = await self._control.ask_vault(verbs.PUT, put)
        await self._control.audit(actor, "credential.put", metadata.id, {"version": metadata.version})
        await self._publication.publish()
        return metadata

    async def works(self, credential: str) -> None:
        """A credential was accepted: forget that its provider refused it."""
        now = self._control.clock.wall_ms()
        changes = self._refusals.changes({credential: (200, now)})
        if changes:
            await self._control.write(lambda connection: refusals.write(connection, changes, now))
            self._refusals.apply(changes)

    async def change(self, verb: Verb[CredentialName, Metadata], credential: str, actor: str) -> Metadata:
        """Disable, enable or remove a credential. Unpublished first, then changed in the vault. Raises UserError for the removal
        of one that the file declares: the next start would bring it back."""
        provider, _, name = credential.partition("/")
        declared = next((spec for spec in self._publication.compiled.providers if spec.name == provider), None)
        if verb is verbs.REMOVE and declared is not None and name in declared.credentials:
            raise UserError(
                f"the credential {credential!r} is declared in the configuration file",
                f"remove it there; to stop it at once: switchgear credential disable {credential}",
                2,
            )
        metadata = await self._control.ask_vault(verb, CredentialName(credential))
        await self._control.audit(actor, f"credential.{verb.name}", credential)
        await self._publication.publish()
        return metadata
