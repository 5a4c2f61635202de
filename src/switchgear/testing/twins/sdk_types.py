"""An SDK's TypedDicts as strict pydantic types: unknown keys are refused and lazy iterables are read to their ends. Level 5."""

import collections.abc
import types
import typing
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

import pydantic
import typing_extensions

_ITERABLES = {collections.abc.Iterable, collections.abc.Sequence, list}


class Strict:
    """Makes strict types, each once: the SDKs' types are large and share most of their parts."""

    def __init__(self, *, nulls: bool = False) -> None:
        self._made: dict[Any, Any] = {}
        self._nulls = nulls
        """True where the provider takes null for what is left out."""

    def adapter(self, kind: Any) -> "pydantic.TypeAdapter[Any]":
        """Return what validates plain JSON values against an SDK's parameter type."""
        return pydantic.TypeAdapter(self.type(kind))

    def type(self, kind: Any) -> Any:
        """Return the strict form of a type."""
        if typing_extensions.is_typeddict(kind):
            return self._typed_dict(kind)
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is None:
            return _plain(kind)
        if origin in {Union, types.UnionType}:
            return Union[tuple(self.type(argument) for argument in arguments)]  # noqa: UP007
        if origin in {Required, NotRequired, typing_extensions.Required, typing_extensions.NotRequired}:
            return origin[self.type(arguments[0])]
        if origin is Annotated:
            return self.type(arguments[0])
        if origin is Literal:
            return kind
        if origin in _ITERABLES:
            return list[self.type(arguments[0])]  # type: ignore[misc]
        if origin in {dict, collections.abc.Mapping}:
            return dict[self.type(arguments[0]), self.type(arguments[1])]  # type: ignore[misc]
        return Any

    def _typed_dict(self, kind: Any) -> Any:
        if kind in self._made:
            return self._made[kind]
        self._made[kind] = Any  # a type that holds itself is not followed
        fields: dict[str, Any] = {}
        for name, hint in typing_extensions.get_type_hints(kind, include_extras=True).items():
            inner, is_required = _unwrapped(hint, name in kind.__required_keys__)
            wrapper = Required if is_required else NotRequired
            field = self.type(inner)
            fields[name] = wrapper[Union[field, None] if self._nulls and not is_required else field]  # noqa: UP007
        make: Any = typing_extensions.TypedDict
        made: Any = make(kind.__name__, fields)
        made.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", strict=True)
        self._made[kind] = made
        return made


def _unwrapped(hint: Any, is_required: bool) -> tuple[Any, bool]:
    while get_origin(hint) in {
        Required,
        NotRequired,
        Annotated,
        typing_extensions.Required,
        typing_extensions.NotRequired,
    }:
        origin = get_origin(hint)
        if origin is not Annotated:
            is_required = origin in {Required, typing_extensions.Required}
        hint = get_args(hint)[0]
    return hint, is_required


def _plain(kind: Any) -> Any:
    if kind is object or isinstance(kind, typing.TypeVar):
        return Any
    if kind is float:
        return int | float
    return (
        kind
        if isinstance(kind, type) and kind in {str, int, bool, type(None), bytes}
        else Any
        if kind is not None
        else None
    )
