"""Models and prices of the store, and where a request for a model would go. Level 5."""

from typing import Any

import msgspec

from switchgear.control import declared
from switchgear.control.handle import Control
from switchgear.control.history import History
from switchgear.control.keys import Keys
from switchgear.control.publication import Publication
from switchgear.core.errors import UserError
from switchgear.policies import access
from switchgear.pricing.price import Price
from switchgear.providers.catalogue import PROVIDERS
from switchgear.routing import table
from switchgear.routing.frozen import frozen_models
from switchgear.routing.strategies import STRATEGIES
from switchgear.routing.table import ModelEntry
from switchgear.store import objects


class Models:
    """What changes models and prices, and explains routes."""

    def __init__(self, control: Control, publication: Publication, history: History, keys: Keys) -> None:
        self._control = control
        self._publication = publication
        self._history = history
        self._keys = keys

    async def add(self, entry: ModelEntry, actor: str) -> None:
        """Add a model to the store."""
        declared.check_addition(self._publication.compiled, "model", entry.name)
        providers = await self._publication.all_providers()
        for deployment in entry.deployments:
            if deployment.provider not in providers:
                raise UserError(f"there is no provider {deployment.provider!r}", "list them: switchgear provider list")
        if entry.strategy not in STRATEGIES:
            raise UserError(f"{entry.strategy[:64]!r} is no strategy", f"known: {', '.join(STRATEGIES)}")
        now = self._control.clock.wall_ms()
        await self._control.write(lambda c: objects.put_object(c, "model", entry.name, msgspec.json.encode(entry), now))
        await self._control.audit(actor, "model.add", entry.name)
        self._history.remember(actor, "model.add")
        await self._publication.publish()

    async def remove(self, name: str, actor: str) -> None:
        """Remove a model of the store. Raises UserError for one of the file."""
        declared.check_removal(self._publication.compiled, "model", name)
        now = self._control.clock.wall_ms()
        await self._control.write(lambda c: objects.remove_object(c, "model", name, now))
        await self._control.audit(actor, "model.remove", name)
        self._history.remember(actor, "model.remove")
        await self._publication.publish()

    async def set_price(self, name: str, price: Price, actor: str) -> None:
        """Put a price over the shipped one."""
        now = self._control.clock.wall_ms()
        await self._control.write(lambda c: objects.set_object(c, "price", name, msgspec.json.encode(price), now))
        await self._control.audit(actor, "price.set", name)
        self._history.remember(actor, "price.set")
        await self._publication.publish()

    def find_price(self, name: str) -> Price | None:
        """Return the price of `provider/model` as the edges would."""
        provider, _, model = name.partition("/")
        entry = (
            self._publication.snapshot.table.providers.get(provider) if self._publication.snapshot is not None else None
        )
        pricing_id = entry.pricing_id if entry is not None else _catalogue_pricing(provider)
        return self._publication.catalog.find(provider, pricing_id, model, self._control.clock.wall_ms())

    async def explain(self, model: str, key: str | None) -> dict[str, Any]:
        """Tell where a request for a model would go, and why."""
        snapshot = self._publication.snapshot
        if snapshot is None:
            raise UserError("nothing was published yet", "see `switchgear status`")
        now = self._control.clock.wall_ms()
        active = {subject for subject, until in snapshot.freezes.items() if until is None or now < until}
        stops = {
            name: frozen_models(snapshot.table, [name]) for name in access.frozen_names(snapshot.freezes, "model", now)
        }
        passed = table.trace(snapshot.table, model)[0]
        whole = [f"model:{name}" for name, stopped in stops.items() if stopped.stops_name(passed)]
        whole += sorted({"all"} & active)
        steps: list[str] = []
        allowed = True
        if key is not None:
            row = await self._keys.find(key)
            allowed = access.may_call(model, row.models)
            its = access.key_subjects(row.name, row.team, row.user, row.project)
            whole += [subject for subject in its if subject in active and subject not in whole]
            steps.append(
                f"key {row.name}: models {', '.join(row.models) if row.models else 'all'} → "
                f"{'allowed' if allowed else 'not allowed'}"
            )
        entry = snapshot.table.models.get(model)
        if entry is not None:
            steps.append(f"{model!r} is a configured model" + (f", an alias of {entry.alias!r}" if entry.alias else ""))
        route = table.resolve(snapshot.table, model)
        if route is None:
            steps.append(f"no model, pattern or provider/model answers to {model!r}")
        candidates: list[dict[str, Any]] = []
        for deployment in route.deployments if route is not None else ():
            price = deployment.price or self._publication.catalog.find(
                deployment.provider.name,
                deployment.provider.pricing_id,
                deployment.upstream_model,
                now,
            )
            frozen = [subject for subject in ("all", *deployment.subjects) if subject in active]
            frozen += [f"model:{name}" for name, stopped in stops.items() if stopped.stops_deployment(deployment)]
            candidates.append(
                {
                    "provider": deployment.provider.name,
                    "credential": deployment.credential_id,
                    "upstream_model": deployment.upstream_model,
                    "priced": price is not None,
                    "frozen": frozen,
                }
            )
        if candidates and all(candidate["frozen"] for candidate in candidates):
            whole += [one for one in sorted({s for c in candidates for s in c["frozen"]}) if one not in whole]
        is_callable = bool(allowed and candidates and not whole)
        return {"model": model, "callable": is_callable, "frozen": whole, "steps": steps, "candidates": candidates}


def _catalogue_pricing(provider: str) -> str | None:
    row = PROVIDERS.get(provider)
    return row.pricing_id if row is not None else None
