"""Sealing credentials for the vault: what `serve`, `credential add` and `config apply` do with secrets. Level 3."""

from collections.abc import Iterable

from switchgear.config.compile import ProviderSpec
from switchgear.core.errors import SealError
from switchgear.core.secret import Secret
from switchgear.providers.endpoint import KEYLESS
from switchgear.vault import seal
from switchgear.vault.kek import PublicKey
from switchgear.vault.seal import SealContext
from switchgear.vault.verbs import CredentialCeilings, Put


def seal_one(spec: ProviderSpec, name: str, secret: Secret, public: PublicKey, now_ms: int) -> Put:
    """Seal one credential to its provider's endpoint."""
    context = SealContext(provider=spec.name, credential=name, version=now_ms, endpoint=spec.place(name))
    ceilings = spec.ceilings.get(name)
    bounds = (
        CredentialCeilings()
        if ceilings is None
        else CredentialCeilings(
            requests_per_s=ceilings.requests_per_s,
            concurrency=ceilings.concurrency,
            bytes_per_hour=ceilings.bytes_per_hour,
        )
    )
    return Put(context, seal.seal(secret, context, public), bounds)


def seal_all(
    providers: Iterable[ProviderSpec], secrets: dict[tuple[str, str], Secret], public: PublicKey, now_ms: int
) -> tuple[list[Put], list[str]]:
    """Seal the secrets that are given by (provider, credential), and an empty one where a provider takes none. Returns also what is
    wrong with those that cannot be sealed: one bad secret keeps no other from serving."""
    puts: list[Put] = []
    refused: list[str] = []
    for spec in providers:
        for name in spec.credentials:
            secret = secrets.get((spec.name, name))
            if secret is None and spec.place(name).auth in KEYLESS:
                secret = Secret(b"")
            if secret is not None:
                try:
                    puts.append(seal_one(spec, name, secret, public, now_ms))
                except SealError as exc:
                    refused.append(f"the vault does not take credential {spec.name}/{name}: {exc}")
    return puts, refused
