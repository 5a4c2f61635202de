"""Models and prices of the store, and where a request for a model would go. Level 5."""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from switchgear.config import bounds, document, routes, schema
from switchgear.config.compile import check_model_name
from switchgear.control import budget_names, declared, holders
from switchgear.control.breakers import Breakers
from switchgear.control.handle import Control
from switchgear.control.history import History
from switchgear.control.holders import Holders
from switchgear.control.keys import Keys
from switchgear.control.publication import Publication
from switchgear.control.sample import Sample, arranged
from switchgear.core.errors import UserError
from switchgear.policies import access
from switchgear.pricing.price import Price, Pricer
from switchgear.replica import holding
from switchgear.replica.entries import KeyEntry, Snapshot
from switchgear.routing import table
from switchgear.routing.frozen import frozen_models
from switchgear.routing.strategies import STRATEGIES
from switchgear.routing.table import Deployment, DeploymentEntry, ModelEntry
from switchgear.store import objects


class Models:
    """What changes models and prices, and explains routes."""

    def __init__(
        self,
        control: Control,
        publication: Publication,
        history: History,
        keys: Keys,
        breakers: Breakers,
        holders: Holders,
    ) -> None:
        self._control = control
        self._publication = publication
        self._history = history
        self._keys = keys
        self._breakers = breakers
        self._holders = holders

    async def add(self, entry: ModelEntry, actor: str) -> None:
        """Add a model to the store."""
        declared.check_addition(self._publication.compiled, "model", entry.name)
        wrong = check_model_name(entry.name) or (
            " " in entry.name and "it has blanks, which many clients cannot ask for"
        )
        if wrong:
            raise UserError(f"{entry.name[:64]!r} is not a model name: {wrong}", "", 2)
        providers = await self._publication.all_providers()
        for deployment in entry.deployments:
            if deployment.provider not in providers:
                raise UserError(
                    f"there is no provider {deployment.provider!r}", "list them: switchgear provider list", 2
                )
        if entry.strategy not in STRATEGIES:
            raise UserError(f"{entry.strategy[:64]!r} is no strategy", f"known: {', '.join(STRATEGIES)}", 2)
        _check(entry)
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> None:
            made = holders.with_ids(connection, entry, {"team": "team"})
            objects.put_object(connection, "model", made.name, msgspec.json.encode(made), now)

        await self._control.write(work)
        await self._control.audit(actor, "model.add", entry.name)
        self._history.remember(actor, "model.add")
        await self._publication.publish()

    async def remove(self, name: str, actor: str) -> None:
        """Remove a model of the store. Raises UserError for one of the file."""
        declared.check_removal(self._publication.compiled, "model", name)
        now = self._control.clock.wall_ms()

        def work(connection: Connection) -> None:
            stored = objects.objects(connection, "model")
            left = {*declared.names(self._publication.compiled, "model"), *stored} - {name}
            budget_names.refuse_loss(connection, [name] if name in stored else [], left)
            objects.remove_object(connection, "model", name, now)

        await self._control.write(work)
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
        return self._publication.find_price(provider, model)

    def standing(self) -> "Standing | None":
        """Return what is frozen now; None before the first publication."""
        snapshot = self._publication.snapshot
        return Standing(snapshot, self._control.clock.wall_ms()) if snapshot is not None else None

    async def explain(self, sample: Sample) -> dict[str, Any]:
        """Tell where a request would go, in which order, and why not elsewhere."""
        model, key = sample.model, sample.key
        snapshot = self._publication.snapshot
        if snapshot is None:
            raise UserError("nothing was published yet", "see `switchgear status`")
        now = self._control.clock.wall_ms()
        standing = Standing(snapshot, now)
        whole = standing.of_name(model)
        steps: list[str] = []
        allowed, seen = True, snapshot.table
        asker: tuple[str, str | None, list[str], dict[str, str]] = ("", None, [], {})
        if key is not None:
            row = await self._holders.held_later(await self._keys.find(key))
            allowed = access.may_call_all(model, row.model_lists)
            seen = table.seen_by(seen, {one.id for one in row.held_by if one.kind == "team"})
            asker = (row.name, row.team, row.tags or [], row.require or {})
            whole += [subject for subject in standing.of_key(row) if subject not in whole]
            steps.append(
                f"key {row.name}: models {', '.join(row.models) if row.models else 'all'} → "
                f"{'allowed' if allowed else 'not allowed'}"
            )
            steps += [
                f"{one.of} {one.name}: models {one.rule} → not allowed"
                for one in holding.binding(row)
                if one.field == "models" and one.of != "key" and not access.may_call(model, one.rule.split(", "))
            ]
        entry = seen.models.get(model)
        if entry is not None:
            steps.append(f"{model!r} is a configured model" + (f", an alias of {entry.alias!r}" if entry.alias else ""))
        route = table.resolve(seen, model)
        if route is None:
            steps.append(f"no model, pattern or provider/model answers to {model!r}")
        steps += [self._missing(*one) for one in table.unserved(snapshot.table, model)]
        candidates: list[dict[str, Any]] = []
        pricers: list[Pricer | None] = []
        windows: list[int | None] = []
        for deployment in route.deployments if route is not None else ():
            price = deployment.price or self._publication.catalog.find(
                deployment.provider.name,
                deployment.provider.pricing_id,
                deployment.upstream_model,
                now,
            )
            pricers.append(Pricer(price) if price is not None else None)
            windows.append(self._window(deployment))
            frozen = standing.of_deployment(deployment)
            candidates.append(
                {
                    "provider": deployment.provider.name,
                    "credential": deployment.credential_id,
                    "upstream_model": deployment.upstream_model,
                    "priced": price is not None,
                    "frozen": frozen,
                }
            )
        if route is not None:
            told = arranged(sample, route, pricers, self._breakers.open, asker, now, windows)
            candidates = [{**one, **more} for one, more in zip(candidates, told, strict=True)]
            if all(one["place"] is None for one in told):
                steps.append("no deployment is for such a request")
                allowed = False
        if candidates and all(candidate["frozen"] for candidate in candidates):
            whole += [one for one in sorted({s for c in candidates for s in c["frozen"]}) if one not in whole]
        is_callable = bool(allowed and candidates and not whole)
        return {
            "model": model,
            "callable": is_callable,
            "frozen": whole,
            "steps": steps,
            "candidates": candidates,
            "strategy": route.strategy if route is not None else "ordered",
        }

    def _window(self, deployment: Deployment) -> int | None:
        pricing_id = deployment.provider.pricing_id
        info = self._publication.catalog.info(pricing_id, deployment.upstream_model) if pricing_id else None
        return info.context_window if info is not None else None

    def _missing(self, deployment: DeploymentEntry, credential: str | None) -> str:
        """Say why no request goes to a deployment."""
        provider = deployment.provider
        held = {one.name: one for one in self._publication.credentials if one.provider == provider}
        add = f"switchgear credential add {provider}" + (f" --name {credential}" if credential is not None else "")
        one = held.get(credential) if credential is not None else next(iter(held.values()), None)
        if self._publication.snapshot is None or provider not in self._publication.snapshot.table.providers:
            why = f"there is no provider {provider!r} (switchgear provider list)"
        elif one is None or one.state == "removed":
            why = f"the vault has no credential {provider}/{credential or '…'} ({add})"
        elif one.state == "disabled":
            why = f"the credential {one.id} is disabled (switchgear credential enable {one.id})"
        else:
            why = f"the vault cannot open the credential {one.id} (switchgear doctor)"
        return f"not tried: {provider}/{deployment.model}: {why}"


class Standing:
    """What is frozen at a moment."""

    def __init__(self, snapshot: Snapshot, now_ms: int) -> None:
        self._snapshot = snapshot
        self._active = {subject for subject, until in snapshot.freezes.items() if until is None or now_ms < until}
        names = access.frozen_names(snapshot.freezes, "model", now_ms)
        self._models = {name: frozen_models(snapshot.table, [name]) for name in names}

    def among(self, subjects: Iterable[str]) -> list[str]:
        """Return those that are frozen."""
        return [subject for subject in subjects if subject in self._active]

    def of_key(self, key: KeyEntry) -> list[str]:
        """Return because of what a key stands still."""
        return self.among(["all", f"key:{key.name}", *key.subjects])

    def of_name(self, model: str) -> list[str]:
        """Return because of what a model's name stands still, whichever deployment would be tried."""
        passed = table.trace(self._snapshot.table, model)[0]
        return [f"model:{name}" for name, stopped in self._models.items() if stopped.stops_name(passed)] + self.among(
            ["all"]
        )

    def of_deployment(self, deployment: Deployment) -> list[str]:
        """Return because of what a deployment stands still."""
        stopped = [f"model:{name}" for name, found in self._models.items() if found.stops_deployment(deployment)]
        return self.among(("all", *deployment.subjects)) + stopped

    def of_model(self, model: str) -> list[str]:
        """Return because of what no request for a model gets through; empty while one deployment is there for it."""
        whole = self.of_name(model)
        route = table.resolve(self._snapshot.table, model)
        each = [self.of_deployment(one) for one in route.deployments] if route is not None else []
        return list(dict.fromkeys([*whole, *(sorted({s for one in each for s in one}) if each and all(each) else [])]))


def _check(entry: ModelEntry) -> None:
    """Hold a model of the admin API to the bounds and words of a configuration file. Raises UserError."""
    written = document.model(entry, [])
    if isinstance(written, str):
        return
    try:
        given = msgspec.convert(written, schema.Model)
    except msgspec.ValidationError as exc:
        raise UserError(f"the model cannot be written in a configuration: {exc}", "", 2) from None
    for path, message in (*bounds.check(given), *routes.check(given)):
        raise UserError(f"{path}: {message}", "", 2)
