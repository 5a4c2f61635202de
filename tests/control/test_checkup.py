import datetime
import shlex

import msgspec
import pytest
from tests.control.test_models import FAST, PRICE, serve

from switchgear.control.checkup import Facts, judge
from switchgear.control.seen import Doubt
from switchgear.core.ids import KeyId
from switchgear.detect.advisories import AdvisoryFile
from switchgear.discover.detector_set import shipped_advisories
from switchgear.ledger.deployments import DeploymentCounts
from switchgear.routing.states import Opened
from switchgear.routing.table import DeploymentEntry
from switchgear.store.objects import KeyRow
from switchgear.store.outbox import Cursor
from switchgear.vault.verbs import Metadata

NOW = int(datetime.datetime(2026, 12, 1, tzinfo=datetime.UTC).timestamp() * 1000)
DAY = 86_400_000
NOTHING = AdvisoryFile("switchgear-advisories/1", 1, "2026-11-26", "2027-11-26", [])


def rules(**facts) -> dict[str, str]:
    return {f.rule: f.title for f in judge(Facts(now_ms=NOW, **facts), NOTHING)}


def test_a_models_name_that_a_client_chose_runs_nothing_when_the_fix_is_pasted():
    name = "local/x'; touch /tmp/pasted; '"
    (fix,) = [f.fix for f in judge(Facts(now_ms=NOW, unpriced=[(name, 3)]), NOTHING) if f.rule == "model-unpriced"]
    assert shlex.split(fix)[3] == name


def key(**more) -> KeyRow:
    base = KeyRow(id=KeyId("k1"), name="ci", models=["a"], expires_ms=NOW + DAY, created_ms=NOW - 100 * DAY)
    return msgspec.structs.replace(base, **more)


def credential(**more) -> Metadata:
    base = Metadata(
        id="openai/default", provider="openai", name="default", version=1, state="active", last4="abcd", fingerprint="", base_url="",
        auth="bearer", created_ms=NOW, changed_ms=NOW, opens=True,
    )  # fmt: skip
    return msgspec.structs.replace(base, **more)


def failing(at_ms, outcome="rate_limit"):
    state = DeploymentCounts()
    for _ in range(9):
        state.add(outcome, at_ms)
    return state


def test_a_deployment_that_failed_long_ago_is_no_news():
    assert rules(failing={"a/m@c": failing(NOW - 8 * DAY)}) == {}


def test_a_failing_deployment_is_told_with_its_reason_and_whether_it_ever_worked():
    (found,) = judge(Facts(now_ms=NOW, failing={"a/m@c": failing(NOW, "not_found")}), NOTHING)
    assert "9 times in a row and never answered well, last: not_found" in found.title
    assert found.where == "a/m@c" and "model test a/m" in found.fix


def test_a_gateway_without_faults_has_no_findings():
    assert rules(keys=[key()], used_key_ids={"k1"}, credentials=[credential()], prices_date="2026-11-20") == {}


def test_a_key_that_may_call_nothing_is_no_key_that_may_call_everything():
    found = rules(keys=[key(models=[])], used_key_ids={"k1"}, credentials=[credential()], prices_date="2026-11-20")
    assert "key-all-models" not in found


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"keys": [key(expires_ms=None)], "used_key_ids": {"k1"}}, "key-no-expiry"),
        ({"keys": [key(models=None)], "used_key_ids": {"k1"}}, "key-all-models"),
        ({"keys": [key()]}, "key-unused"),
        ({"keys": [key(expires_ms=NOW - 1)]}, "key-expired"),
        ({"tokens_for_ever": ["ci"]}, "token-no-expiry"),
        ({"credentials": [credential(changed_ms=NOW - 91 * DAY)]}, "credential-old"),
        ({"credentials": [credential(opens=False)]}, "credential-sealed-otherwise"),
        ({"credentials": [credential(state="disabled")]}, "credential-unused-state"),
        ({"prices_date": "2026-09-01"}, "prices-old"),
        ({"unpriced": [("local/x", 3)]}, "model-unpriced"),
        ({"spool_bytes": 2 << 30}, "spool-backlog"),
        ({"cursors": [Cursor("bills", 5, 2, NOW, NOW)], "head_seq": 5}, "export-lost"),
        ({"cursors": [Cursor("bills", 4, 0, NOW, NOW - 3 * DAY)], "head_seq": 5}, "export-behind"),
        ({"open": {"a/m@c": Opened("failures", NOW - DAY, NOW)}}, "breaker-open"),
        ({"open": {"a/m@c": Opened("credential", NOW, NOW)}}, "breaker-open"),
        ({"failing": {"a/m@c": failing(NOW - DAY)}}, "deployment-failing"),
        ({"disk_free": 0.01}, "disk-space"),
        ({"newest_record_ms": NOW + DAY}, "clock"),
        ({"freezes": {"all": None}}, "frozen"),
        ({"doubts": [Doubt("key", "app", "forged")]}, "store-row"),
    ],
)
def test_each_check_against_something_that_is_wrong(facts, rule):
    assert list(rules(**facts)) == [rule]


def test_an_export_that_has_all_or_moved_lately_is_no_finding():
    still, late = Cursor("a", 5, 0, NOW, NOW - 30 * DAY), Cursor("b", 2, 0, NOW, NOW - DAY)
    assert rules(cursors=[still, late], head_seq=5) == {}


def test_a_new_or_revoked_key_is_not_unused():
    assert rules(keys=[key(created_ms=NOW - DAY)]) == {} == rules(keys=[key(revoked_ms=1)])


def test_many_names_are_cut():
    many = [key(id=KeyId(f"k{n}"), name=f"n{n}", expires_ms=None) for n in range(50)]
    (found,) = judge(Facts(now_ms=NOW, keys=many, used_key_ids={k.id for k in many}), NOTHING)
    assert found.title.startswith("50 keys") and found.where.endswith("and 30 more")


def test_the_versions_age_and_its_libraries():
    later = Facts(now_ms=NOW + 200 * DAY, packages=[("starlette", "0.40.0"), ("starlette-other", "0.1")])
    found = judge(later, shipped_advisories())
    assert {f.rule for f in found} == {"version-old", "advisories-old", "dependency-vulnerable"}
    assert "clock" in {f.rule for f in judge(Facts(now_ms=0), NOTHING)}


def test_a_price_that_was_set_since_is_noticed(desk):
    desk.run(*serve(desk))
    assert not desk.services.checkup._has_price("openai/gpt-x")
    desk.run(lambda: desk.services.models.set_price("openai/gpt-x", PRICE, "ann"))
    assert desk.services.checkup._has_price("openai/gpt-x")
    own = msgspec.structs.replace(
        FAST, name="own", deployments=(DeploymentEntry(provider="openai", model="y", price=PRICE),)
    )
    desk.run(lambda: desk.services.models.add(own, "ann"))
    assert desk.services.checkup._has_price("openai/y") and not desk.services.checkup._has_price("openai/z")
