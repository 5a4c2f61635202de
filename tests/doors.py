"""The doors of the program, read from its sources: every function that a loop, a thread or a parser calls back.

A door must not let an exception out that nobody expected: it is made with `core.guard.guarded`, or with a method that is. The
list is generated, so a new callback without a guard fails a test (decision 020).

    find("edge", "net")      → the doors of these rooms, each with how it is guarded
    rig(door, raiser)        → replaces what a guarded door does, in this process, until `.undo()`
"""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SRC = Path(__file__).parent.parent / "src" / "switchgear"

PROTOCOL_METHODS = frozenset(
    [
        "connection_made",
        "connection_lost",
        "data_received",
        "eof_received",
        "pause_writing",
        "resume_writing",
        "get_buffer",
        "buffer_updated",
        "datagram_received",
        "error_received",
        "pipe_data_received",
        "pipe_connection_lost",
        "process_exited",
    ]
)
"""What asyncio calls of a protocol (Python documentation, "Transports and Protocols")."""

# Who is handed a callback, and at which position it stands; -1 means by the keyword `target`.
SCHEDULERS = {
    "call_soon": 0,
    "call_soon_threadsafe": 0,
    "call_later": 1,
    "call_at": 1,
    "add_reader": 1,
    "add_writer": 1,
    "add_signal_handler": 1,
    "add_done_callback": 0,
    "run_in_executor": 1,
    "create_task": 0,
    "ensure_future": 0,
    "run_coroutine_threadsafe": 0,
    "start_server": 0,
    "start_unix_server": 0,
    "signal": 1,
    "Thread": -1,
    "_soon": 0,  # edge/slices: the loop's call_soon
}
# What is awaited (asyncio.to_thread, a client's call) is no door: its exception comes back to whoever awaits it.

# Interfaces between rooms: a call of such a method, of anything but oneself, must stand in a guarded function.
SEAMS = frozenset(
    [
        "on_head",
        "on_request",
        "on_gone",
        "on_writable",
        "on_response",
        "on_body",
        "on_fail",
        "on_data",
        "on_failure",
        "on_done",
    ]
)

HARMLESS = {
    "self._tasks.discard": "a set's own method, of what it holds",
    "os._exit": "the end of the process",
    "awaitable": "app/child.wait_first hands on the two waits of a drain",
    "setting_up": "net/acceptor: the loop's own connect_accepted_socket; `_accepted` looks at how it ended",
    "self._port": "discover/hosts: hands what `_look` returns, which is guarded, to the collector",
}
"""Callbacks that are no functions of ours, each with the reason why it needs no guard."""


@dataclass(frozen=True)
class Door:
    """One callback."""

    path: str
    """Below src/switchgear."""
    line: int
    name: str
    """As it stands there: `Class.method`, or the expression that is handed over."""
    kind: str
    """protocol, scheduled or seam."""
    is_guarded: bool
    target: tuple[str, str] | None = None
    """(module, `Class.method`) of the function, where it is one of ours."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name} ({self.kind})"


@dataclass(frozen=True)
class Function:
    """A function of ours."""

    path: str
    owner: str
    """The class it stands in; empty for a module's own."""
    node: ast.FunctionDef | ast.AsyncFunctionDef

    @property
    def is_guarded(self) -> bool:
        """True when it is made with `guarded`."""
        return any(
            isinstance(d, ast.Call) and (getattr(d.func, "id", "") or getattr(d.func, "attr", "")) == "guarded"
            for d in self.node.decorator_list
        )

    @property
    def target(self) -> tuple[str, str]:
        """Where it is found at run time."""
        module = "switchgear." + self.path.removesuffix(".py").replace("/", ".")
        return module, f"{self.owner}.{self.node.name}" if self.owner else self.node.name


class Sources:
    """All functions of the program, by name."""

    def __init__(self) -> None:
        paths = {str(path.relative_to(SRC)): path for path in sorted(SRC.rglob("*.py"))}
        # What ships for tests plays the parts of others, under their names.
        self.trees = {name: ast.parse(p.read_text()) for name, p in paths.items() if not name.startswith("testing/")}
        self.functions: dict[str, list[Function]] = {}
        self.parents: dict[int, ast.AST] = {}
        for path, tree in self.trees.items():
            for node in ast.walk(tree):
                for child in ast.iter_child_nodes(node):
                    self.parents[id(child)] = node
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    self.functions.setdefault(node.name, []).append(Function(path, self._owner(node), node))

    def _owner(self, node: ast.AST) -> str:
        parent = self.parents.get(id(node))
        return parent.name if isinstance(parent, ast.ClassDef) else ""

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what a node stands in, from the inside out."""
        while (parent := self.parents.get(id(node))) is not None:
            yield parent
            node = parent

    def class_of(self, node: ast.AST) -> str:
        """Return the class that a node stands in."""
        return next((found.name for found in self.around(node) if isinstance(found, ast.ClassDef)), "")

    def resolve(self, path: str, at: ast.AST, expression: ast.expr) -> list[Function]:
        """Return what an expression that names a function may mean: of the same class or module first."""
        if isinstance(expression, ast.Attribute):
            found = self.functions.get(expression.attr, [])
            if isinstance(expression.value, ast.Name) and expression.value.id == "self":
                mine = [f for f in found if f.path == path and f.owner == self.class_of(at)]
                return mine or [f for f in found if f.path == path]
            return [f for f in found if f.owner] or found
        if isinstance(expression, ast.Name):
            found = self.functions.get(expression.id, [])
            return [f for f in found if f.path == path and (not f.owner)] or [f for f in found if not f.owner]
        return []


def _callback(call: ast.Call) -> ast.expr | None:
    name = getattr(call.func, "attr", "") or getattr(call.func, "id", "")
    at = SCHEDULERS.get(name)
    if at is None:
        return None
    if at < 0:
        return next((keyword.value for keyword in call.keywords if keyword.arg == "target"), None)
    if name == "signal" and not (
        isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "signal"
    ):
        return None
    return call.args[at] if len(call.args) > at else None


def _plain(expression: ast.expr) -> ast.expr:
    """Return the function that an expression comes to: of `functools.partial(f, …)` and `coroutine(…)` it is f."""
    while isinstance(expression, ast.Call):
        name = getattr(expression.func, "attr", "") or getattr(expression.func, "id", "")
        expression = expression.args[0] if name == "partial" else expression.func
    return expression


def find(*rooms: str) -> list[Door]:
    """Return the doors of these rooms. A file is named by its path (`app/child.py`), a room by its folder."""
    sources = Sources()
    found: list[Door] = []
    for path, tree in sources.trees.items():
        if not any(path == wanted or path.startswith(f"{wanted}/") for wanted in rooms):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(base).endswith("Protocol") and "asyncio" in ast.unparse(base) for base in node.bases
            ):
                found += _protocol(path, node)
            elif isinstance(node, ast.Call):
                found += _scheduled(sources, path, node)
                found += _seam(sources, path, node)
    return found


def _protocol(path: str, node: ast.ClassDef) -> Iterator[Door]:
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.name in PROTOCOL_METHODS:
            function = Function(path, node.name, method)
            name = f"{node.name}.{method.name}"
            yield Door(path, method.lineno, name, "protocol", function.is_guarded, function.target)


def _scheduled(sources: Sources, path: str, call: ast.Call) -> Iterator[Door]:
    given = _callback(call)
    if given is None:
        return
    expression = _plain(given)
    name = ast.unparse(expression)
    if name in HARMLESS or (isinstance(expression, ast.Lambda) and isinstance(expression.body, ast.Constant)):
        return
    if isinstance(expression, ast.Lambda):
        inner = expression.body
        functions = sources.resolve(path, call, _plain(inner)) if isinstance(inner, ast.Call) else []
    else:
        functions = sources.resolve(path, call, expression)
    is_guarded = bool(functions) and all(function.is_guarded for function in functions)
    target = functions[0].target if len(functions) == 1 else None
    yield Door(path, call.lineno, name, "scheduled", is_guarded, target)


def _seam(sources: Sources, path: str, call: ast.Call) -> Iterator[Door]:
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in SEAMS or ast.unparse(func.value) in {"self", "super()"}:
        return
    inside = next(
        (n for n in sources.around(call) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)),
        None,
    )
    if inside is not None and inside.name in SEAMS:
        return  # an interface's own method hands on; whoever calls it is guarded
    guarded = inside is not None and Function(path, "", inside).is_guarded
    name = f"{sources.class_of(call)}.{inside.name if inside else '?'} → {ast.unparse(func)}"
    target = Function(path, sources.class_of(call), inside).target if inside is not None else None
    yield Door(path, call.lineno, name, "seam", guarded, target)


def guarded_functions(*rooms: str) -> list[tuple[str, str]]:
    """Return (module, `Class.method`) of every function of these rooms that is made with `guarded`."""
    sources = Sources()
    return sorted(
        {
            function.target
            for functions in sources.functions.values()
            for function in functions
            if function.is_guarded
            and any(function.path == wanted or function.path.startswith(f"{wanted}/") for wanted in rooms)
        }
    )


class Rig:
    """Stands inside a door, within its guard: `before` and `after` are called around what it does, and may raise."""

    def __init__(self, target: tuple[str, str], before=None, after=None) -> None:
        owner = importlib.import_module(target[0])
        *parents, name = target[1].split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        door = vars(owner)[name]
        original = door.__wrapped__
        self._cell = next(cell for cell in door.__closure__ if cell.cell_contents is original)
        self._original = original

        def plain(*arguments, **named):
            if before is not None:
                before(*arguments)
            found = original(*arguments, **named)
            if after is not None:
                after(*arguments)
            return found

        async def coroutine(*arguments, **named):
            if before is not None:
                before(*arguments)
            found = await original(*arguments, **named)
            if after is not None:
                after(*arguments)
            return found

        is_coroutine = bool(original.__code__.co_flags & 0x80)
        self._cell.cell_contents = coroutine if is_coroutine else plain

    def undo(self) -> None:
        """Let the door do what it did."""
        self._cell.cell_contents = self._original
