"""P7, M3: code execution inside each process of a real, confined gateway; the attacker table of docs/design.md §1, row by row.

Each attack is code that runs *inside* the process after its cell closed. Run as root (each process its own user) and as a plain
user (all processes one user, kept apart by Landlock and seccomp alone). `make breach` prints the table.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from tests.end_to_end.attacks import ATTACKS, CLOSED, CUT_OFF, FORGED, GREET, LINK, surroundings
from tests.end_to_end.breached import HOOK_SECRET, RESULTS, SECRET, Estate, holds, users

from switchgear.confine import cell
from switchgear.testing.gateway import GatewayProcess
from switchgear.testing.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(bool(cell.probe()), reason=f"this kernel does not confine: {cell.probe()}")


@pytest.fixture(scope="module", params=users())
def estate(request):
    made = Estate(request.param)
    yield made
    made.stop()


@pytest.fixture(params=users())
def own_estate(request):
    made = Estate(request.param)
    yield made
    made.stop()


@pytest.fixture(scope="module", autouse=True)
def the_table():
    yield
    if os.environ.get("BREACH_TABLE"):
        print()
        for user, attacker, what, holds in RESULTS:
            print(f"  {'✔' if holds else '✗'}  {user:<6} {attacker:<24} {what}")
        print(f"  {sum(row[3] for row in RESULTS)} of {len(RESULTS)} hold")


@pytest.mark.parametrize(
    ("where", "role", "what", "code", "walls"),
    ATTACKS,
    ids=lambda v: v if isinstance(v, str) and len(v) < 60 and "=" not in v else "",
)
def test_P7_code_inside_a_process_meets_a_wall(estate, where, role, what, code, walls):
    if what == "write the vault's journal" and role == "control" and estate.user == "plain":
        walls = walls | {
            "written"
        }  # one user, and control removes old segments: the box is what matters, not the journal
    if role == "vault" and what in {"read the vault's memory", "read the vault's environment"}:
        walls = walls | {"read 64", "EIO", "read 0"}
    if role == "courier" and what == "read the courier's memory":
        walls = walls | {"read 64", "EIO", "read 0"}
    found = estate.gateway.inside(role, code, **surroundings(estate))
    assert holds(estate, where, what, found in walls), (what, found)


def test_P7_an_accepted_connection_is_no_way_out(estate):
    """Dissolve a client's connection and connect it elsewhere: the one internet socket that an edge has."""
    import socket

    clients = [socket.create_connection(("127.0.0.1", estate.gateway.port)) for _ in range(8)]
    time.sleep(0.2)
    code = """
found = []
for fd in range(3, 400):
    try:
        s = socket.socket(fileno=os.dup(fd))
        if s.family != socket.AF_INET or s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            continue
        s.getpeername()
    except OSError:
        continue
    unspec = struct.pack('H14x', 0)
    libc.connect(s.fileno(), unspec, 16)
    s.settimeout(2)
    found.append(attempt(lambda: s.connect(('127.0.0.1', provider))))
out = found
"""
    found = [x for role in ("edge-0", "edge-1") for x in estate.gateway.inside(role, code, **surroundings(estate))]
    for client in clients:
        client.close()
    assert found, "no connection of a client was there to be abused"
    assert holds(estate, "an edge", "turn a client's connection outward", set(found) <= {"EACCES", "EPERM"}), found


@pytest.mark.parametrize(("what", "code"), FORGED, ids=[row[0] for row in FORGED])
def test_C7_forged_frames_reach_no_provider(estate, what, code):
    before = len(estate.victim.headers())
    found = estate.gateway.inside("edge-0", LINK + code, **surroundings(estate))
    assert holds(estate, "an edge", f"forge: {what}", found is True and len(estate.victim.headers()) == before), found
    assert estate.call(estate.key) == 200, "the vault serves on"


def test_C7_a_flood_from_inside_stays_below_the_ceiling(estate):
    time.sleep(1.1)
    code = """
heard, state = talk(*(open_frame(attempt=f'flood-{n % 999}', stream=n) for n in range(1, 301)), seconds=3.0)
heads = sum(1 for kind, *_ in heard if kind == 6)
out = [heads, sum(1 for kind, _, _, p in heard if kind == 8 and msgspec.msgpack.decode(p)[0] == 'overloaded')]
"""
    sent, over = estate.gateway.inside("edge-0", LINK + code, **surroundings(estate))
    assert holds(estate, "an edge", "exceed the credential's ceiling (50/s)", 0 < sent <= 100 and over >= 200), (
        sent,
        over,
    )
    time.sleep(1.1)


def test_C8_attempts_past_the_books_are_seen_within_seconds(own_estate):
    """The one thing that code in an edge can do: call a configured deployment. It shows."""
    estate = own_estate
    for _ in range(20):
        assert estate.call(estate.key) == 200
    time.sleep(2.5)
    status = estate.gateway.json("status")
    assert status["double_entry"]["unspooled"] == 0 and status["double_entry"]["checked"] >= 20, status
    code = """
body = b'{"model":"echo","messages":[{"role":"user","content":"x"}]}'
heard, state = talk(open_frame(attempt='%032x-1' % 7, body=body, headers=[(b'content-type', b'application/json')]), seconds=2.0)
out = any(kind == 6 for kind, *_ in heard)
"""
    assert estate.gateway.inside("edge-0", LINK + code, **surroundings(estate)), "the provider answered"
    began = time.monotonic()
    while time.monotonic() - began < 15:
        found = estate.gateway.json("status")
        if found["double_entry"]["unspooled"]:
            break
        time.sleep(0.1)
    took = time.monotonic() - began
    assert holds(estate, "an edge", "spend past the books unseen", found["double_entry"]["unspooled"] == 1), found
    assert found["state"] == "degraded" and "no edge recorded" in str(found["problems"])
    assert took < PATIENCE_S


def test_P3_controls_socket_answers_nobody_without_its_token(estate):
    code = """
import http.client
from switchgear.net import unix
from pathlib import Path
def ask(token):
    s = unix.connect(Path(data) / 'run' / 'control', 'control.sock', 2.0)
    s.sendall(b'GET /api/v1/credentials HTTP/1.1\\r\\nhost: x\\r\\nauthorization: Bearer ' + token + b'\\r\\nconnection: close\\r\\n\\r\\n')
    answer = b''
    while piece := s.recv(65536):
        answer += piece
    return answer[:12].decode()
out = [attempt(lambda: ask(b'guess')), attempt(lambda: ask(live('LinkClient')._hello().token.encode()))]
"""
    found = estate.gateway.inside("edge-0", code, **surroundings(estate))
    walls = CLOSED | {"HTTP/1.1 401", "", "HTTP/1.1 404"}
    assert holds(estate, "an edge", "command control through its socket", set(found) <= walls), found


def test_C4_control_cannot_get_a_credential_out_of_the_vault(estate):
    code = """
import asyncio
link = linked('vault')
loop = next(o for o in gc.get_objects() if isinstance(o, asyncio.AbstractEventLoop) and o.is_running())
def ask(name, body=None):
    answer = asyncio.run_coroutine_threadsafe(link._ask(name, body, 5.0), loop).result(10)
    return answer.ok, str(answer.message), bytes(answer.body)
names = ['get', 'read', 'open', 'export', 'dump', 'unseal', 'reveal', 'list', 'versions', 'test', '', 'put\\x00', '__dict__', 'rotate', 'kek']
bodies = {'test': {'id': 'fake/main'}, 'list': None, 'versions': None}
answers = {name: ask(name, bodies.get(name, 'fake/main')) for name in names}
out = {name: [ok, message, body.hex()] for name, (ok, message, body) in answers.items()}
"""
    found = estate.gateway.inside("control", code)
    assert {name for name, (ok, *_) in found.items() if ok} == {"list", "versions", "test"}
    everything = json.dumps(found) + "".join(bytes.fromhex(body).decode("latin-1") for _, _, body in found.values())
    assert holds(estate, "control", "ask the vault for a credential", SECRET not in everything)


def test_C1_control_cannot_point_a_credential_elsewhere(estate):
    """A malicious control takes a sealed blob out of a backup and puts it under another host, path, proxy, trust, version."""
    import msgspec

    from switchgear.vault import box

    file = msgspec.msgpack.decode((estate.data / "vault" / "box").read_bytes(), type=box._File)
    item = next(item for item in file.items if item.id == "fake/main")
    context = msgspec.to_builtins(item.context)
    endpoint = context["endpoint"]
    variants = []
    for field, value in endpoint.items():
        other = {int: lambda v: v + 1, bool: lambda v: not v, str: lambda v: v + "x", list: lambda v: ["GET /*"]}
        kind = type(value)
        if kind in other:
            variants.append(
                {**context, "endpoint": {**endpoint, field: other[kind](value)}, "version": context["version"] + 1}
            )
    variants.append({**context, "version": context["version"] + 1})
    variants.append({**context, "credential": "copy", "version": context["version"] + 1})
    code = """
import asyncio, base64, json
link = linked('vault')
loop = next(o for o in gc.get_objects() if isinstance(o, asyncio.AbstractEventLoop) and o.is_running())
out = []
for context in variants:
    body = {'context': context, 'blob': base64.b64decode(blob), 'ceilings': {}}
    answer = asyncio.run_coroutine_threadsafe(link._ask('put', body, 5.0), loop).result(10)
    out.append([answer.ok, answer.message])
"""
    blob = base64.b64encode(item.blob).decode()
    found = estate.gateway.inside("control", code, variants=variants, blob=blob)
    assert len(found) > 8
    assert holds(estate, "control", "point a sealed credential elsewhere", not any(ok for ok, _ in found)), found
    assert estate.call(estate.key) == 200


def test_P3_the_courier_cannot_pass_for_somebody_else_at_the_vault(estate):
    code = """
key = live('CourierService').link_key
out = [attempt(lambda: greet('vault', 'vault.sock', key, role, q)) for role, q in (('control', 'list'), ('edge', None), ('courier', 'list'))]
"""
    found = estate.gateway.inside("courier", GREET + code, **surroundings(estate))
    assert holds(estate, "the courier", "speak to the vault as control or an edge", set(found) <= CUT_OFF), found


def test_P3_an_edge_can_use_neither_the_couriers_verbs_nor_its_relays(estate):
    code = """
def relayed():
    s = unix.connect(Path(data) / 'run' / 'courier', 'database.relay', 2.0)
    s.settimeout(2.0)
    s.sendall(b'GET /_seen HTTP/1.1\\r\\nhost: x\\r\\n\\r\\n')
    return 'closed []' if not s.recv(100) else 'answered'
token = live('LinkClient')._hello().token.encode()
out = [attempt(lambda: greet('courier', 'courier.sock', key, 'control', 'status')) for key in (b'guess', token)]
out += [attempt(relayed)]
"""
    found = estate.gateway.inside("edge-0", GREET + code, **surroundings(estate))
    assert holds(estate, "an edge", "go outward through the courier", set(found) <= CUT_OFF), found


def test_C4_control_gets_neither_a_secret_nor_another_destination_out_of_the_courier(estate):
    code = """
import asyncio
link = linked('courier')
loop = next(o for o in gc.get_objects() if isinstance(o, asyncio.AbstractEventLoop) and o.is_running())
def ask(name, body=None):
    answer = asyncio.run_coroutine_threadsafe(link._ask(name, body, 10.0), loop).result(20)
    return [answer.ok, str(answer.message), bytes(answer.body).hex()]
def send(**more):
    return ask('send', {'destination': 'hook', 'method': 'POST', 'path': '/chat/completions', 'body': b'{}', **more})
out = {'good': send()}
for number, path in enumerate(('//127.0.0.1:%d/' % provider, '@127.0.0.1:%d/' % provider, '/../_seen', '/%2e%2e/_seen',
                               'http://127.0.0.1:%d/' % provider, '/x HTTP/1.1\\r\\nhost: evil\\r\\n\\r\\nGET /')):
    out['path %d' % number] = send(path=path)
out['method'] = send(method='CONNECT')
out['elsewhere'] = send(destination='http://127.0.0.1:%d' % provider)
for name in ('put', 'get', 'read', 'add', 'secret', 'list', ''):
    out['verb ' + name] = ask(name, {'name': 'hook'})
out['status'] = ask('status')
"""
    before = len(estate.victim.headers())
    found = estate.gateway.inside("control", code, **surroundings(estate))
    everything = json.dumps(found) + "".join(bytes.fromhex(body).decode("latin-1") for _, _, body in found.values())
    assert found["good"][0] and found["status"][0], found
    assert holds(estate, "control", "ask the courier for its secret", HOOK_SECRET not in everything)
    good = {name for name, (ok, *_) in found.items() if ok} - {"good", "status", "path 0"}
    assert holds(
        estate, "control", "send the courier elsewhere", not good and len(estate.victim.headers()) == before
    ), found


def test_M3_control_and_the_supervisor_hold_no_credential(estate):
    if os.geteuid() != 0:
        pytest.skip("only root reads the memory of others")
    from tests.end_to_end.calls import read_memory

    kek = (estate.gateway.folder / "kek").read_text().strip()
    for role, pid in estate.gateway.pids().items():
        if role == "vault":
            continue
        memory = read_memory(pid)
        clean = SECRET.encode() not in memory and kek.encode() not in memory and bytes.fromhex(kek) not in memory
        assert holds(estate, role, "find a credential or the KEK in its own memory", clean)
        if role != "courier":
            assert holds(
                estate, role, "find the courier's secret in its own memory", HOOK_SECRET.encode() not in memory
            )


def settled_total(estate):
    """The sums of the ledger, once they stand still."""
    before = None
    while True:
        total = estate.gateway.json("usage")["total"]
        if total == before:
            return total
        before = total
        time.sleep(1.2)


def test_L5_a_lying_spool_is_found_out(estate):
    code = """
import msgspec
from switchgear.wire import records
spool = live('SpoolWriter')
import asyncio
loop = next(o for o in gc.get_objects() if isinstance(o, asyncio.AbstractEventLoop) and o.is_running())
def lie():
    payload = msgspec.msgpack.encode(['0' * 26, 200, 'ok'])
    spool.append(records.Kind.SETTLE, payload)
    spool.append(99, b'of no kind')
    spool.append(records.Kind.RESERVE, b'\\xff\\xff\\xff')
    spool.commit()
loop.call_soon_threadsafe(lie)
out = spool.spool_id
"""
    total = settled_total(estate)
    spool_id = estate.gateway.inside("edge-0", code)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        problems = [p for p in estate.gateway.json("status")["problems"] if spool_id in p]
        if len(problems) >= 3:
            break
        time.sleep(0.2)
    for _ in range(6):
        assert estate.call(estate.key) == 200
    after = settled_total(estate)
    assert holds(estate, "an edge", "forge records of its spool", len(problems) >= 3), problems
    assert after["requests"] == total["requests"] + 6, "honest records behind the lies are booked, the lies are not"


def encodings(text):
    raw = text.encode()
    return {raw, base64.b64encode(raw).rstrip(b"="), raw.hex().encode(), raw[::-1], urllib.parse.quote(text).encode()}


def test_P7_sql_injection_gives_no_credential_and_no_usable_key(estate):
    """The demonstration: control of this build has an endpoint like LiteLLM's CVE-2026-42208. The attacker takes everything."""

    def inject(text):
        url = f"http://127.0.0.1:{estate.gateway.console_port}/hole?name=" + urllib.parse.quote(text)
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            raise AssertionError((text, exc.read())) from exc

    assert inject("nothing") == []
    for _ in range(20):
        assert estate.call(estate.key) == 200
    time.sleep(1.0)
    tables = [row[0] for row in inject("' UNION SELECT name FROM sqlite_master WHERE type='table' --")]
    assert {"keys", "key_secrets", "objects", "tokens", "requests"} <= set(tables), "the hole is real"
    stolen = []
    for table in tables:
        columns = [row[0] for row in inject(f"' UNION SELECT name FROM pragma_table_info('{table}') --")]
        both = "||'|'||".join(f"quote({c})" for c in columns)
        stolen += [row[0] for row in inject(f"' UNION SELECT {both} FROM {table} --")]
    dump = "\n".join(stolen).encode()
    assert len(stolen) > 20 and b"fake" in dump
    with sqlite3.connect(f"file:{estate.data}/store/store.sqlite?mode=ro", uri=True) as database:
        dump += "\n".join(database.iterdump()).encode()
    decoded = dump + b"".join(bytes.fromhex(found.decode()) for found in re.findall(rb"(?:[0-9A-Fa-f]{2}){4,}", dump))
    kek = (estate.gateway.folder / "kek").read_text().strip()
    pepper = (estate.data / "pepper").read_text().split()[1]
    token = (estate.data / "run" / "control" / "cli.token").read_text()
    for name, text in (
        ("credential", SECRET),
        ("virtual key", estate.key),
        ("KEK", kek),
        ("pepper", pepper),
        ("CLI token", token),
    ):
        found = [form for form in encodings(text) if form in decoded or form in dump]
        assert holds(estate, "SQL injection", f"find the {name} in everything it can select", not found), (name, found)
    candidates = set(re.findall(rb"[A-Za-z0-9_\-]{16,200}", decoded))
    tried = sorted(candidates, key=len, reverse=True)[:300]
    usable = [c for c in tried if estate.call(c.decode()) != 401]
    forged = [c for c in tried[:100] if estate.call(f"sk-sg-{c.decode()}") != 401]
    assert holds(estate, "SQL injection", f"use one of {len(tried)} strings as a key", not usable and not forged), (
        usable,
        forged,
    )
    for candidate in [c.decode() for c in tried[:50]]:
        for shown in (candidate, f"sgat-{candidate}"):
            request = urllib.request.Request(
                f"http://127.0.0.1:{estate.gateway.console_port}/api/v1/credentials",
                headers={"authorization": f"Bearer {shown}"},
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=PATIENCE_S)
            caught.value.close()
            assert caught.value.code == 401
    holds(estate, "SQL injection", "use one of them as an admin token", True)


def test_S5_who_writes_the_database_forges_nothing(estate):
    """The attacker writes into the file: a key that may do more, a freeze that is lifted, a token, rows that are swapped."""
    gateway, store = estate.gateway, estate.data / "store" / "store.sqlite"
    narrow = gateway.json("key", "create", "narrow", "--models", "other")["key"]
    frozen = gateway.json("key", "create", "frozen")["key"]
    gateway.cli("freeze", "key", "frozen")
    gateway.cli("model", "add", "mine", "fake/echo")
    before = [estate.call(key) for key in (narrow, frozen, estate.key)]
    assert before == [404, 403, 200]
    attacks = {
        "let a key do more": "UPDATE keys SET policy = CAST('{}' AS BLOB) WHERE name = 'narrow'",
        "let a key do what another may": "UPDATE keys SET (policy, mac, version) = (SELECT policy, mac, version FROM keys AS o"
        " WHERE o.name = 'app') WHERE name = 'narrow'",
        "lift a freeze": "UPDATE freezes SET is_lifted = 1",
        "take a freeze away": "DELETE FROM freezes",
        "turn a route elsewhere": "UPDATE objects SET spec = CAST(replace(CAST(spec AS TEXT), 'echo', 'evil') AS BLOB)"
        " WHERE kind = 'model'",
        "make a token": "INSERT INTO tokens (hash, name, kind, role, created_ms) VALUES (randomblob(32), 'evil', 'api', 'owner', 1)",
    }
    for what, statement in attacks.items():
        with contextlib.closing(sqlite3.connect(store, timeout=PATIENCE_S)) as raw, raw:
            kept = {table: raw.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
            assert raw.execute(statement).rowcount, what
        told = gateway.json("store", "check")["doubts"]
        after = [estate.call(key) for key in (narrow, frozen, estate.key)]
        explained = gateway.json("model", "explain", "mine")["candidates"]
        is_whole = after == before and [c["upstream_model"] for c in explained] == ["echo"] and told
        assert holds(estate, "write to the database", what, is_whole), (what, after, told)
        with contextlib.closing(sqlite3.connect(store, timeout=PATIENCE_S)) as raw, raw:
            for table, rows in kept.items():
                raw.execute(f"DELETE FROM {table}")
                raw.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows) if rows else None
    assert gateway.json("store", "check")["doubts"] == [], "as it was, it is believed again"


TABLES = ("keys", "objects", "freezes", "tokens")


def test_C3_a_rolled_back_database_brings_nothing_back(own_estate):
    """The attacker restores yesterday's database: a revoked key and a removed credential stay gone."""
    estate, gateway = own_estate, own_estate.gateway
    old_key = json.loads(gateway.cli("key", "create", "leaver", "--json"))["key"]
    gateway.cli(
        "provider",
        "add",
        "gone",
        "--base-url",
        f"http://127.0.0.1:{estate.provider.port}/v1",
        "--allow-private",
        "--dialect",
        "openai",
    )
    gateway.cli("credential", "add", "gone", "--from-stdin", "--yes", stdin="sk-that-will-be-removed-0123456789")
    assert estate.call(old_key) == 200
    time.sleep(0.5)
    with sqlite3.connect(f"file:{estate.data}/store/store.sqlite?mode=ro", uri=True) as source:
        backup = sqlite3.connect(estate.gateway.folder / "yesterday")
        source.backup(backup)
        backup.close()
    gateway.cli("key", "revoke", "leaver", "--yes")
    gateway.cli("credential", "remove", "gone/default", "--yes")
    assert estate.call(old_key) == 401
    # The database as it was, under the running gateway's feet: the file is replaced, and control starts anew.
    store = estate.data / "store" / "store.sqlite"
    owner = store.stat()
    for name in ("store.sqlite-wal", "store.sqlite-shm"):
        (store.parent / name).unlink(missing_ok=True)
    shutil.copy(estate.gateway.folder / "yesterday", store)
    os.chown(store, owner.st_uid, owner.st_gid)
    before = gateway.pids()["control"]
    os.kill(before, 9)
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and gateway.pids()["control"] in {before, None}:
        time.sleep(0.05)
    time.sleep(2.0)
    statuses = {estate.call(old_key) for _ in range(6)}
    listed = gateway.cli("credential", "list", "--json")
    assert holds(estate, "a rolled-back database", "make a revoked key work again", statuses == {401}), statuses
    assert holds(estate, "a rolled-back database", "bring a removed credential back", '"gone/' not in listed), listed
    assert estate.call(estate.key) == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to lose to a link")
def test_P2_root_follows_no_link_that_a_process_plants(own_estate):
    """A compromised control or vault makes links where root reads or writes: root's files stay unread and whole."""
    estate, gateway = own_estate, own_estate.gateway
    if estate.user == "plain":
        pytest.skip("one user: there is nothing above it")
    treasure = gateway.folder / "treasure"
    treasure.write_text("root's own")
    treasure.chmod(0o600)
    around = {**surroundings(estate), "treasure": str(treasure)}
    plant = (
        "out = attempt(lambda: (os.path.lexists({0}) and os.unlink({0}), os.symlink(treasure, {0}))[1] or 'planted')"
    )
    places = {
        "control": ("data + '/run/control/cli.token'", "data + '/store/schema-9999'", "data + '/store/created'"),
        "vault": ("data + '/vault/public.json.new'", "data + '/vault/box.new'"),
    }
    for role, names in places.items():
        for name in names:
            found = gateway.inside(role, plant.format(name), **around)
            assert holds(estate, role, "make a link", found in CLOSED), (role, name, found)
            path = Path(eval(name, {"data": str(estate.data)}))  # and if that wall falls?
            path.unlink(missing_ok=True)
            path.symlink_to(treasure)
    refused = subprocess.run(
        [sys.executable, "-m", "switchgear.cli", "status", "--data", str(estate.data)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert refused.returncode == 1, refused.stdout
    assert "root's own" not in refused.stdout + refused.stderr
    assert gateway.stop(keep=True) == 0
    # The supervisor looks at markers and writes the public key as root. What was planted is refused or replaced; a gateway whose
    # store's marker is a link may also refuse to start.
    config = (gateway.folder / "config.yaml").read_text()
    again = GatewayProcess(config, folder=gateway.folder, environ={"FAKE_KEY": SECRET}, start=False)
    with contextlib.suppress(RuntimeError):
        again.start()
    again.stop(keep=True)
    assert "Traceback" not in again.log.read_text(), again.log.read_text()[-3500:]
    assert holds(estate, "control, the vault", "have root follow a link", treasure.read_text() == "root's own")
    assert treasure.stat().st_mode & 0o777 == 0o600 and treasure.stat().st_uid == 0
