"""Rows of LiteLLM's database as the importer takes them. Level 2, pure."""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import Any

from switchgear.importers.litellm_parts import Database, KeyRow, TeamRow, UserRow

_RESTRICTIONS = (
    "max_budget", "soft_budget", "budget_duration", "budget_id", "tpm_limit", "rpm_limit", "max_parallel_requests",
    "model_max_budget", "allowed_routes", "allowed_cache_controls", "aliases", "permissions", "config", "guardrails",
    "organization_id", "object_permission_id", "budget_limits", "enforced_params", "auto_rotate", "router_settings",
)  # fmt: skip
"""Columns that restrict or change what a key, team or user may do."""


def database(rows: Mapping[str, list[dict[str, Any]]]) -> Database:
    """Turn rows by table into what the importer takes."""
    budgets = {row.get("budget_id"): row for row in rows.get("budgets", [])}
    return Database(
        keys=[_key(row, budgets) for row in rows.get("keys", []) if row.get("token")],
        teams=[
            TeamRow(
                id=str(row["team_id"]),
                alias=row.get("team_alias"),
                models=_texts(row.get("models")),
                spend=_number(row.get("spend")),
                rest=_rest(row, budgets),
            )
            for row in rows.get("teams", [])
        ],
        users=[
            UserRow(
                id=str(row["user_id"]),
                email=row.get("user_email"),
                spend=_number(row.get("spend")),
                rest=_rest(row, budgets),
            )
            for row in rows.get("users", [])
        ],
        models=[
            {
                "model_name": row.get("model_name"),
                "litellm_params": _object(row.get("litellm_params")),
                "model_info": _object(row.get("model_info")),
            }
            for row in rows.get("models", [])
        ],
        credentials=[
            {"credential_name": row.get("credential_name"), "credential_values": _object(row.get("credential_values"))}
            for row in rows.get("credentials", [])
        ],
        settings={str(row.get("param_name")): _object(row.get("param_value")) for row in rows.get("config", [])},
    )


def _key(row: Mapping[str, Any], budgets: Mapping[Any, dict[str, Any]]) -> KeyRow:
    expires = row.get("expires")
    if isinstance(expires, datetime.datetime):
        at = expires if expires.tzinfo else expires.replace(tzinfo=datetime.UTC)  # Prisma stores UTC without a zone
        expires = at.isoformat(timespec="seconds")
    return KeyRow(
        token=str(row["token"]),
        alias=row.get("key_alias") or None,
        spend=_number(row.get("spend")),
        expires=str(expires) if expires else None,
        models=_texts(row.get("models")),
        team_id=row.get("team_id") or None,
        user_id=row.get("user_id") or None,
        blocked=bool(row.get("blocked")),
        metadata=_object(row.get("metadata")),
        rest=_rest(row, budgets),
    )


def _rest(row: Mapping[str, Any], budgets: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    found = {
        name: row[name] for name in _RESTRICTIONS if name in row and row[name] not in (None, [], {}, "", "{}", False)
    }
    budget = budgets.get(found.pop("budget_id", None))
    if budget is not None:
        found |= {
            name: budget[name]
            for name in _RESTRICTIONS
            if budget.get(name) not in (None, [], {}, "") and name != "budget_id"
        }
    if row.get("blocked") and "token" not in row:
        found["blocked"] = True
    return found


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, Iterable) and not isinstance(value, str | dict) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return {str(k): v for k, v in value.items()} if isinstance(value, dict) else {}
