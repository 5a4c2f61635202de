"""A request is looked at again before anything is sent."""

from types import SimpleNamespace

import pytest

from switchgear.core import virtual_key
from switchgear.dialects.registry import DEFAULT
from switchgear.edge import standing
from switchgear.edge.head_facts import HeadFacts
from switchgear.edge.resolver import Resolver
from switchgear.replica.entries import KeyEntry, SecretHash, Snapshot
from switchgear.routing.table import Deployment, DeploymentEntry, ModelEntry, ProviderEntry, RouteTable, Timeouts
from switchgear.wire.http_requests import RequestHead

PEPPERS = {1: b"p" * 32}
TOKEN = "sk-sg-" + "A" * 12 + "_" + "b" * 43
PROVIDER = ProviderEntry(name="a", dialects=("openai",), credentials=("c",))
TARGET = SimpleNamespace(deployment=Deployment(PROVIDER, "c", "m", None, Timeouts()), credential_id="a/c")


def entry(**more):
    mac = virtual_key.keyed_hash(PEPPERS[1], virtual_key.digest(TOKEN))
    return KeyEntry("A" * 12, "k", 1, [SecretHash(mac, 1)], **more)


class Replica:
    """What was published, as a test sets it."""

    def __init__(self, key, **snapshot):
        self.key = key
        self.set(**snapshot)

    def set(self, **snapshot):
        routes = RouteTable(providers={"a": PROVIDER})
        self.published = Snapshot(store_id="s", epoch=1, table=routes, **snapshot)

    def look_up(self, key_id):
        return self.published, self.key

    def look_up_hash(self, mac):
        return self.key


class Clock:
    now_s = 0.0

    def monotonic_s(self):
        return self.now_s

    def wall_ms(self):
        return int(self.now_s * 1000)


@pytest.fixture
def asked():
    head = RequestHead(
        b"POST", b"/", {b"authorization": b"Bearer " + TOKEN.encode()}, True, False, 0, False, frozenset()
    )
    exchange = SimpleNamespace(head=head, client_address="127.0.0.1", certain_address="127.0.0.1")
    replica = Replica(entry(models=["a/m"]))
    clock = Clock()
    services = SimpleNamespace(replica=replica, peppers=PEPPERS, clock=clock, resolver=Resolver(lambda _: None))
    context = SimpleNamespace(
        exchange=exchange,
        endpoint=SimpleNamespace(dialect=DEFAULT),
        started_s=0.0,
        facts=HeadFacts(),
        key=None,
        snapshot=None,
        is_stale=False,
        now_ms=0,
        course=SimpleNamespace(current=TARGET),
        resolution=None,
        request=SimpleNamespace(model="a/m", operation="chat"),
    )
    assert standing.look_again(services, context) is None
    return services, context


def test_a_key_that_was_just_looked_up_is_not_looked_up_again(asked):
    services, context = asked
    services.replica.key = entry(revoked=True)
    assert standing.still(services, context) is None
    services.clock.now_s = 1.0
    assert standing.still(services, context).case.status == 401


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"revoked": True}, 401),
        ({"expires_ms": 500}, 401),
        ({"cidrs": ["10.0.0.0/8"]}, 403),
    ],
)
def test_S2_a_key_changed_since_the_head_is_judged_as_the_key_is_now(asked, change, status):
    services, context = asked
    services.clock.now_s = 1.0
    services.replica.key = entry(**change)
    assert standing.still(services, context).case.status == status


def test_a_key_that_is_gone_stands_no_more(asked):
    services, context = asked
    services.clock.now_s, services.replica.key = 1.0, None
    assert standing.still(services, context).case.status == 401


@pytest.mark.parametrize(
    "subject",
    ["all", "key:k", "team:t", "user:u", "project:p", "model:a/m", "provider:a", "credential:a/c", "deployment:a/m@c"],
)
def test_S3_a_freeze_stops_the_next_attempt_and_what_runs(asked, subject):
    services, context = asked
    services.replica.key = context.key = entry(team="t", user="u", project="p")
    services.replica.set(freezes={subject: None})
    assert standing.may_try(services, context).case.code == "frozen"
    found = standing.frozen(services.resolver, services.replica.published, context, 0)
    assert found.case.code == "frozen"


def test_a_model_that_was_taken_from_the_key_is_not_tried_again(asked):
    services, context = asked
    before = context.key
    services.replica.key = entry(models=["other"])
    assert standing.may_try(services, context).case.status == 404
    assert context.key is before, "the reservation names who asked"


def test_a_freeze_of_another_subject_stops_nothing(asked):
    services, context = asked
    services.replica.set(freezes={"key:other": None, "model:a/n": None, "provider:b": None, "deployment:a/n@c": None})
    assert standing.may_try(services, context) is None


def test_a_label_that_a_key_requires_by_now_stops_the_next_attempt(asked):
    services, context = asked
    services.replica.key = entry(models=["a/m"], require={"region": "eu"})
    refused = standing.may_try(services, context)
    assert refused.case.status == 403 and "region: eu" in refused.message


def test_a_label_that_a_model_requires_by_now_stops_the_next_attempt(asked):
    services, context = asked
    place = DeploymentEntry(provider="a", model="m")
    model = ModelEntry(name="a/m", deployments=(place,), require={"region": "eu"})
    services.replica.published = Snapshot(
        store_id="s", epoch=1, table=RouteTable(providers={"a": PROVIDER}, models={"a/m": model})
    )
    assert standing.may_try(services, context).case.status == 403
