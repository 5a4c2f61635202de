"""What an attacker inside each process tries, with the answers that are a wall: code that runs after its cell closed."""

from pathlib import Path

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
