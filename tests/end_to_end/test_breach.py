"""P7, M3: code execution inside each process of a real, confined gateway; the attacker table of docs/design.md §1, row by row.

Each attack is code that runs *inside* the process after its cell closed. Run as root (each process its own user) and as a plain
user (all processes one user, kept apart by Landlock and seccomp alone). `make breach` prints the table.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from tests.end_to_end.implant import Breached

from switchgear.confine import cell
from switchgear.testing.gateway import GatewayProcess, ProviderProcess, free_port
from switchgear.testing.patience import PATIENCE_S

SECRET = "sk-provider-credential-breach-0123456789"
HOOK_SECRET = "courier-destination-secret-breach-0123456789"
PLAIN_UID = 59_990
CONFIG = """
providers:
  fake:
    dialect: openai
    base_url: "http://127.0.0.1:{port}/v1"
    allow_private: true
    credentials: [{{name: main, secret: {{env: FAKE_KEY}}, ceilings: {{requests_per_s: 50}}}}]
models: {{fast: fake/echo}}
pricing: {{overrides: {{fake/echo: {{input_per_mtok: 1, output_per_mtok: 1}}}}}}
courier:
  destinations:
    hook: {{url: "http://127.0.0.1:{hook}/v1", allow_private: true, auth: bearer, secret: {{env: HOOK_SECRET}}}}
    database: {{relay: "tcp://127.0.0.1:{hook}", allow_private: true}}
"""
pytestmark = pytest.mark.skipif(bool(cell.probe()), reason=f"this kernel does not confine: {cell.probe()}")
RESULTS = []


def users():
    if os.geteuid() != 0:
        return ["plain"]
    return ["root", "plain"]


class Estate:
    """A breached gateway with a provider, a key, and what an attacker would like to have."""

    def __init__(self, user):
        self.user = user
        self.provider = ProviderProcess()
        self.victim = ProviderProcess()  # a host that no credential names
        folder = Path(tempfile.mkdtemp(prefix="breach-"))
        uid = PLAIN_UID if user == "plain" and os.geteuid() == 0 else None
        if uid is not None and not can_read_the_program(uid):
            shutil.rmtree(folder)
            pytest.skip("the checkout is closed to other users")
        self.hook = ProviderProcess()  # what the courier may reach
        config = CONFIG.format(port=self.provider.port, hook=self.hook.port)
        secrets = {"FAKE_KEY": SECRET, "HOOK_SECRET": HOOK_SECRET}
        self.gateway = Breached(folder, config, free_port(), free_port(), uid, secrets)
        self.key = self.gateway.json("key", "create", "app")["key"]
        self.data = self.gateway.data
        assert self.call(self.key) == 200

    def call(self, key, path="/v1/chat/completions"):
        body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "hello"}]})
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=PATIENCE_S)
        try:
            connection.request(
                "POST", path, body, {"authorization": f"Bearer {key}", "content-type": "application/json"}
            )
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def stop(self):
        code = self.gateway.stop()
        self.provider.stop()
        self.victim.stop()
        self.hook.stop()
        assert code == 0


def can_read_the_program(uid):
    done = subprocess.run(
        [sys.executable, "-I", "-c", "import switchgear.app"],
        check=False,
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        cwd="/",
    )
    return done.returncode == 0


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


def holds(estate, attacker, what, claim):
    RESULTS.append((estate.user, attacker, what, bool(claim)))
    return claim


CLOSED = {"EACCES", "EPERM", "ENOENT", "ESRCH", "ENOTDIR"}
"""What the kernel says when something is not for this process. ENOENT: from within a root of its own."""

# What is asked of the process, the code, and the answers that are a wall.
FROM_ANYWHERE = [
    ("read the KEK file", "out = read(kek)", CLOSED),
    ("read the courier's key", "out = read(home + '/courier.key')", CLOSED),
    ("read the courier's memory", "out = read(f'/proc/{pids[\"courier\"]}/mem')", CLOSED),
    ("read the vault's memory", "out = read(f'/proc/{pids[\"vault\"]}/mem')", CLOSED),
    ("read the vault's environment", "out = read(f'/proc/{pids[\"vault\"]}/environ')", CLOSED),
    ("read control's memory", "out = read(f'/proc/{pids[\"control\"]}/mem')", CLOSED),
    (
        "process_vm_readv",
        "b = ctypes.create_string_buffer(64); out = call(310, pids['vault'], b, 1, b, 1, 0)",
        {"EPERM"},
    ),
    ("ptrace", "out = call(101, 16, pids['vault'], 0, 0)", {"EPERM"}),
    ("take a descriptor of another process", "out = call(438, 0, 0, 0)", {"EPERM"}),
    ("read /etc/shadow", "out = read('/etc/shadow')", CLOSED),
    ("read the home of the user", "out = attempt(lambda: str(os.listdir(home)))", CLOSED),
    ("read the pepper", "out = read(data + '/pepper')", CLOSED),
    ("read the key of the store's rows", "out = read(data + '/store.key')", CLOSED),
    ("read the configuration file", "out = read(home + '/config.yaml')", CLOSED),
    ("write into the program", "out = write(package + '/core/ids.py')", CLOSED | {"EROFS"}),
    ("leave a file for the next start", "out = write(sys.prefix + '/lib/x.pth')", CLOSED | {"EROFS"}),
    ("execute a program", "out = attempt(lambda: os.execv('/bin/sh', ['sh', '-c', 'true']))", {"EPERM"}),
    ("start a process", "out = attempt(os.fork)", {"EPERM"}),
    (
        "end the vault",
        "out = attempt(lambda: os.kill(pids['vault'], 9)) if pids['vault'] != os.getpid() else 'EPERM'",
        CLOSED,
    ),
    ("end the supervisor", "out = attempt(lambda: os.kill(pids['supervisor'], 9))", CLOSED),
    ("end everything", "out = attempt(lambda: os.kill(-1, 9))", CLOSED),
    ("take the others' descriptors away", "out = call(302, pids['supervisor'], 7, 0, 0)", {"EPERM"}),
    ("become root", "out = attempt(lambda: os.setresuid(0, 0, 0))", {"EPERM"}),
    ("a raw socket", "out = attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))", {"EACCES", "EPERM"}),
    ("a kernel program (bpf)", "out = call(321, 0, 0, 0)", {"EPERM"}),
    ("a ring that makes sockets unseen", "out = call(425, 1, 0)", {"ENOSYS", "EPERM"}),
    ("another file system", "out = call(165, 0, 0, 0, 0, 0)", {"EPERM"}),
    ("another namespace", "out = call(272, 0x10000000)", {"EPERM"}),
]
INSIDE_ONLY = [
    (
        "connect to a provider",
        "out = attempt(lambda: socket.create_connection(('127.0.0.1', provider), 2))",
        {"EACCES", "EPERM"},
    ),
    ("send a datagram", "out = attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))", {"EACCES", "EPERM"}),
    (
        "ask DNS",
        "out = attempt(lambda: str(socket.getaddrinfo('example.org', 443)))",
        {"EACCES", "EPERM", "-2", "-3", "-5", "-11", "gaierror"},
    ),
    (
        "connect while sending",
        f"s = socket.socket(socket.AF_UNIX); out = attempt(lambda: s.sendto(b'x', {0x20000000}, 'x'))",
        {"EPERM"},
    ),
    ("listen on a port", "out = attempt(lambda: socket.create_server(('127.0.0.1', 0)))", {"EACCES", "EPERM"}),
    ("read the box", "out = read(data + '/vault/box')", CLOSED),
    ("replace the box", "out = write(data + '/vault/box')", CLOSED),
    ("write the vault's journal", "out = write(data + '/spool/vault/00000001.seg')", CLOSED | {"walled"}),
]
OF_AN_EDGE = [
    ("read the database", "out = read(data + '/store/store.sqlite')", CLOSED),
    ("write the replica", "out = write(data + '/replica/data.mdb')", CLOSED),
    ("write LMDB's lock (a way into control's memory)", "out = write(data + '/replica/lock.mdb')", CLOSED),
    ("read the CLI's token", "out = read(data + '/run/control/cli.token')", CLOSED),
    ("write another edge's spool", "out = write(data + '/spool/edge-1/00000001.seg')", CLOSED),
    ("write another edge's counters", "out = write(data + '/counters/edge-1.column')", CLOSED),
    ("cut its own counters", "out = attempt(lambda: os.truncate(data + '/counters/edge-0.column', 4096))", CLOSED),
    ("remove its own counters", "out = attempt(lambda: os.unlink(data + '/counters/edge-0.column'))", CLOSED),
    ("take over control's socket", "out = attempt(lambda: os.unlink(data + '/run/control/control.sock'))", CLOSED),
    ("take over the vault's socket", "out = attempt(lambda: os.unlink(data + '/run/vault/vault.sock'))", CLOSED),
    ("import a database module's file", "out = 'sqlite3' in sys.modules or 'sqlalchemy' in sys.modules", {False}),
]
OF_THE_VAULT = [
    ("read the database", "out = read(data + '/store/store.sqlite')", CLOSED),
    ("read the replica", "out = read(data + '/replica/data.mdb')", CLOSED),
    ("read an edge's spool", "out = read(data + '/spool/edge-0/00000001.seg')", CLOSED),
    ("read the counters", "out = read(data + '/counters/edge-0.column')", CLOSED),
    ("listen on a port", "out = attempt(lambda: socket.create_server(('127.0.0.1', 0)))", {"EACCES", "EPERM"}),
]
OF_THE_COURIER = [
    ("connect to another port", "out = attempt(lambda: socket.create_connection(('127.0.0.1', provider), 2))", CLOSED),
    (
        "connect to another port by IPv6",
        "out = attempt(lambda: socket.create_connection(('::1', provider), 2))",
        CLOSED,
    ),
    (
        "connect while sending",
        "s = socket.socket(); out = attempt(lambda: s.sendto(b'x', 0x20000000, ('127.0.0.1', provider)))",
        CLOSED,
    ),
    ("listen on a port", "out = attempt(lambda: socket.create_server(('127.0.0.1', 0)))", {"EACCES", "EPERM"}),
    ("read the box", "out = read(data + '/vault/box')", CLOSED),
    ("replace the box", "out = write(data + '/vault/box')", CLOSED),
    ("write the vault's journal", "out = write(data + '/spool/vault/00000001.seg')", CLOSED),
    ("read the database", "out = read(data + '/store/store.sqlite')", CLOSED),
    ("read the replica", "out = read(data + '/replica/data.mdb')", CLOSED),
    ("write the replica", "out = write(data + '/replica/data.mdb')", CLOSED),
    ("read an edge's spool", "out = read(data + '/spool/edge-0/00000001.seg')", CLOSED),
    ("write an edge's spool", "out = write(data + '/spool/edge-0/00000001.seg')", CLOSED),
    ("read the CLI's token", "out = read(data + '/run/control/cli.token')", CLOSED),
    ("take over control's socket", "out = attempt(lambda: os.unlink(data + '/run/control/control.sock'))", CLOSED),
    ("take over the vault's socket", "out = attempt(lambda: os.unlink(data + '/run/vault/vault.sock'))", CLOSED),
    ("import a database module's file", "out = 'sqlite3' in sys.modules or 'sqlalchemy' in sys.modules", {False}),
]
ATTACKS = [
    *(("an edge", "edge-0", *row) for row in (*FROM_ANYWHERE, *INSIDE_ONLY, *OF_AN_EDGE)),
    *(("control", "control", *row) for row in (*FROM_ANYWHERE, *INSIDE_ONLY)),
    *(("the courier", "courier", *row) for row in (*FROM_ANYWHERE, *OF_THE_COURIER)),
    *(("the vault", "vault", *row) for row in (*FROM_ANYWHERE, *OF_THE_VAULT)),
]


def surroundings(estate):
    import switchgear

    return {
        "kek": str(estate.gateway.folder / "kek"),
        "home": str(estate.gateway.folder),
        "data": str(estate.data),
        "pids": estate.gateway.pids(),
        "provider": estate.victim.port,
        "package": str(Path(switchgear.__file__).parent),
    }


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


# The vault's socket, from inside an edge

LINK = """
import msgspec
from switchgear.wire import frames
hello_of = live('LinkClient')._hello()
def talk(*sent, hello=None, seconds=0.4):
    '''Open a link of one's own; returns what the vault said, and how it ended.'''
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(seconds)
    link = live('LinkClient')
    from switchgear.net import unix
    s = unix.connect(link._folder, 'vault.sock', seconds)
    decoder, heard = frames.Decoder(), []
    try:
        s.sendall(frames.encode(1, 0, frames.encode_payload(hello or hello_of)))
        for frame in sent:
            s.sendall(frame)
        while True:
            data = s.recv(65536)
            if not data:
                return heard, 'closed'
            heard += decoder.feed(data)
    except (ConnectionResetError, BrokenPipeError):
        return heard, 'closed'
    except TimeoutError:
        return heard, 'open'
    finally:
        s.close()
def open_frame(credential_id='fake/main', method='POST', path='/chat/completions', headers=(), body=b'{}', announced=None,
               attempt='evil-1', times=(5.0, 5.0, 5.0, 5.0), ended=True, stream=1):
    route = frames.encode_payload(frames.UpstreamRoute(credential_id, method, path, list(headers), *times))
    size = len(body) if announced is None else announced
    head = frames.encode_payload(frames.Open(attempt, size, msgspec.Raw(route)))
    return frames.encode_with_head(2, stream, head, body, 1 if ended else 0)
def said(heard):
    return [(kind, msgspec.msgpack.decode(payload)[:2]) if kind == 8 else (kind, None) for kind, _, _, payload in heard]
def refused(heard):
    fails = [msgspec.msgpack.decode(payload) for kind, _, _, payload in heard if kind == 8]
    return bool(fails) and all(f[0] in ('refused', 'overloaded') and f[2] is False for f in fails)
"""
FORGED = [
    ("a credential nobody sealed", "out = refused(talk(open_frame('other/main'))[0])"),
    ("another host in the path", "out = refused(talk(open_frame(path='//127.0.0.1:%d/v1/chat/completions' % provider))[0])"),
    ("a whole URL as path", "out = refused(talk(open_frame(path='http://127.0.0.1:%d/' % provider))[0])"),
    ("user info in the path", "out = refused(talk(open_frame(path='@127.0.0.1:%d/' % provider))[0])"),
    ("a management path", "out = all(refused(talk(open_frame(method=m, path=p))[0]) for m, p in (('POST', '/organization/admin_api_keys'), ('GET', '/organization/usage'), ('DELETE', '/files/x'), ('POST', '/fine_tuning/jobs')))"),
    ("dots on the way to it", "out = all(refused(talk(open_frame(path=p))[0]) for p in ('/chat/completions/../../organization/keys', '/models/..%2F..%2Fadmin:generateContent', '/model/%2E%2E/converse'))"),
    ("CONNECT, TRACE, PUT", "out = all(refused(talk(open_frame(method=m))[0]) for m in ('CONNECT', 'TRACE', 'PUT', 'post', 'POST /x HTTP/1.1'))"),
    ("a second request in the path", "out = refused(talk(open_frame(path='/chat/completions HTTP/1.1\\r\\nhost: evil\\r\\n\\r\\nGET /'))[0])"),
    ("a line break in a header", "out = all(refused(talk(open_frame(headers=[h]))[0]) for h in ((b'accept', b'x\\r\\nhost: evil'), (b'accept\\r\\nhost', b'x'), (b'accept', b'x\\x00')))"),
    ("headers that steer", "out = all(refused(talk(open_frame(headers=[(n, b'x')]))[0]) for n in (b'host', b'authorization', b'x-forwarded-host', b'content-length', b'transfer-encoding', b'connection', b'proxy-authorization', b'x-goog-api-key', b'cookie'))"),
    ("half a body", "out = refused(talk(open_frame(body=b'{}', announced=9))[0])"),
    ("more body than announced", "out = refused(talk(open_frame(body=b'{}x', announced=2))[0])"),
    ("a body without end", "heard, state = talk(open_frame(body=b'{', announced=2, ended=False)); out = not any(k in (6, 7) for k, *_ in heard)"),
    ("an announced body of 1 TB", "out = not any(k in (6, 7) for k, *_ in talk(open_frame(body=b'{}', announced=10**12, ended=False))[0])"),
    ("an attempt id that is not one", "out = all(refused(talk(open_frame(attempt=a))[0]) for a in ('', 'a b', 'x\\r\\nhost: evil', 'A-1', 'x' * 200))"),
    ("times that are no numbers", "n, i = float('nan'), float('inf'); out = all(refused(talk(open_frame(times=t))[0]) for t in ((n, 5.0, 5.0, 5.0), (5.0, n, 5.0, 5.0), (5.0, 5.0, i, 5.0), (5.0, 5.0, 5.0, -i), (n, -1.0, 0.0, n)))"),
    ("to be control", "h = frames.Hello(1, 'control', hello_of.token, '', hello_of.run_id); out = talk(hello=h) == ([], 'closed')"),
    ("to be another run", "h = frames.Hello(1, 'edge', hello_of.token, '', 'f' * 16); out = talk(hello=h) == ([], 'closed')"),
    ("an empty token", "h = frames.Hello(1, 'edge', '', '', hello_of.run_id); out = talk(hello=h) == ([], 'closed')"),
    ("another protocol version", "h = frames.Hello(99, 'edge', hello_of.token, '', hello_of.run_id); out = talk(hello=h) == ([], 'closed')"),
    ("a verb, as an edge", "v = frames.encode_payload(frames.Question('list', msgspec.Raw(b'\\xc0'))); heard, state = talk(frames.encode(9, 1, v)); out = state == 'closed' and not any(k == 10 for k, *_ in heard)"),
    ("a frame of no kind", "heard, state = talk(struct.pack('<IIBBH', 0, 1, 77, 0, 0)); out = state == 'closed'"),
    ("a frame of 4 GB", "heard, state = talk(struct.pack('<IIBBH', 2**32 - 1, 1, 2, 0, 0)); out = state == 'closed'"),
    ("a reserved flag", "heard, state = talk(struct.pack('<IIBBH', 0, 1, 4, 128, 0)); out = state == 'closed'"),
    ("an open that is garbage", "heard, state = talk(frames.encode(2, 1, b'\\xff\\xffgarbage')); out = state == 'closed'"),
    ("a route that is garbage", "head = frames.encode_payload(frames.Open('evil-1', 2, msgspec.Raw(b'\\x93\\x01\\x02\\x03'))); out = refused(talk(frames.encode_with_head(2, 1, head, b'{}', 1))[0])"),
    ("the same stream twice", "heard, state = talk(open_frame(ended=False, announced=9), open_frame(ended=False, announced=9)); out = state == 'closed'"),
]  # fmt: skip


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


GREET = """
import msgspec
from pathlib import Path
from switchgear.net import unix
from switchgear.wire import frames
def greet(folder, name, key, role, question=None):
    '''Say hello with a token of one's own making; returns the kinds of frames that came back, or how it ended.'''
    s = unix.connect(Path(data) / 'run' / folder, name, 2.0)
    hello = frames.Hello(frames.PROTOCOL_VERSION, role, frames.link_token(key, role, 'evil'), '', 'evil')
    s.sendall(frames.encode(1, 0, frames.encode_payload(hello)))
    if question:
        s.sendall(frames.encode(9, 1, frames.encode_payload(frames.Question(question, msgspec.Raw(b'\\xc0')))))
    decoder, heard = frames.Decoder(), []
    s.settimeout(1.0)
    try:
        while piece := s.recv(65536):
            heard += [kind for kind, *_ in decoder.feed(piece)]
    except TimeoutError:
        return 'open ' + str(heard)
    return 'closed ' + str(heard)
"""
CUT_OFF = CLOSED | {"closed []", "ECONNRESET", "EPIPE"}


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
    from tests.end_to_end.test_gateway import read_memory

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


# Spools that lie


def settled_total(estate):
    """The sums of the ledger, once they stand still."""
    before = None
    while True:
        total = estate.gateway.json("usage", "--by", "")["total"]
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


# The database


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
