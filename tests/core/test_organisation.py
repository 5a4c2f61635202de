"""What holds for a key of all that it belongs to: the tightest, by a model that was written apart."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.core import organisation, pattern
from switchgear.core.key_policy import KeyPolicy
from switchgear.core.organisation import KINDS, HolderPolicy

NAMES = ("a/x", "a/y", "b/x", "b", "ab/xy")
PATTERNS = st.sampled_from(("*", "a*", "*x", "a/*", "*/x", "a/x", "b", "*b*", "zzz"))
ADDRESSES = ("10.0.0.1", "10.1.0.1", "10.1.2.3", "192.168.0.9", "::1", "2001:db8::1")
NETWORKS = st.sampled_from(
    ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.168.0.9/32", "::/0", "2001:db8::/32")
)
REGIONS = ("eu", "us", "asia")


def maybe(values):
    return st.none() | values


POLICIES = st.lists(
    st.builds(
        HolderPolicy,
        models=maybe(st.lists(PATTERNS, max_size=3)),
        cidrs=maybe(st.lists(NETWORKS, max_size=3)),
        passthrough=maybe(st.lists(PATTERNS, max_size=2)),
        expires_ms=maybe(st.integers(1, 9)),
        tags=maybe(st.lists(st.sampled_from(("x=1", "y=2", "z")), max_size=2)),
        require=maybe(
            st.dictionaries(
                st.sampled_from(("region", "zdr")),
                st.lists(st.sampled_from(REGIONS), min_size=1, max_size=3, unique=True).map("|".join),
            )
        ),
    ),
    max_size=5,
)


# The model: a request passes where each policy of the chain, looked at alone, lets it pass.


def admits(policy, name, address, now, labels):
    nets = [ipaddress.ip_network(text) for text in policy.cidrs or ()]
    return (
        (policy.models is None or any(pattern.matches(one, name) for one in policy.models))
        and (policy.cidrs is None or any(ipaddress.ip_address(address) in net for net in nets))
        and (policy.expires_ms is None or now < policy.expires_ms)
        and all(labels.get(label) in wanted.split("|") for label, wanted in (policy.require or {}).items())
    )


@given(POLICIES, st.sampled_from(NAMES), st.sampled_from(ADDRESSES), st.integers(0, 10), st.data())
def test_a_request_passes_the_whole_chain_where_it_passes_each_policy_of_it(chain, name, address, now, data):
    labels = data.draw(st.dictionaries(st.sampled_from(("region", "zdr")), st.sampled_from(REGIONS)))
    found = organisation.effective(chain)
    lists = found.models
    merged = KeyPolicy(cidrs=found.cidrs, expires_ms=found.expires_ms, require=found.require)
    passes = all(any(pattern.matches(one, name) for one in allowed) for allowed in lists)
    assert (passes and admits(merged, name, address, now, labels)) == all(
        admits(policy, name, address, now, labels) for policy in chain
    )


@given(POLICIES)
def test_tags_of_all_stand_on_the_record_and_each_raw_path_is_on_every_list(chain):
    found = organisation.effective(chain)
    assert set(found.tags or ()) == {tag for policy in chain for tag in policy.tags or ()}
    assert set(found.passthrough) == {tuple(policy.passthrough) for policy in chain if policy.passthrough is not None}


def test_the_cost_center_that_is_nearest_to_the_key_counts():
    chain = [HolderPolicy(cost_center="1"), HolderPolicy(cost_center="2"), HolderPolicy(tags=["x"])]
    assert organisation.effective(chain).tags == ["cost_center=2", "x"]
    own = KeyPolicy(tags=["cost_center=mine"])
    assert organisation.effective([*chain, own]).tags == ["x", "cost_center=mine"]


@pytest.mark.parametrize(
    ("parents", "way"),
    [
        ({"a": None}, None),
        ({"a": "b", "b": None}, None),
        ({"a": "a"}, ["a", "a"]),
        ({"a": "b", "b": "a"}, ["a", "b", "a"]),
        ({"a": "t0", **{f"t{n}": f"t{n + 1}" for n in range(20)}}, ["a", *(f"t{n}" for n in range(8))]),
    ],
)
def test_a_way_up_that_does_not_end_or_is_too_long_is_told(parents, way):
    assert organisation.round_trip("a", parents.get) == way


@pytest.mark.parametrize(
    ("kind", "values", "path"),
    [
        ("team", {"parent": ""}, "parent"),
        ("team", {"cost_center": "x" * 65}, "cost_center"),
        ("profile", {"pot": "everybody"}, "pot"),
        ("user", {"limits": ["many"]}, "limits[0]"),
        ("project", {"budget": "lots"}, "budget"),
        ("team", {"expires": "soon"}, "expires"),
    ],
)
def test_a_wrong_value_is_named_with_its_place(kind, values, path):
    ((where, _),) = organisation.check(KINDS[kind], values)
    assert where == path


def test_what_a_kind_cannot_say_is_no_field_of_it():
    assert "parent" in KINDS["team"].fields and "parent" not in KINDS["project"].fields
    assert "team" in KINDS["project"].fields and "user" not in KINDS["team"].fields
    assert "profile" not in KINDS["profile"].fields


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_and_written_back_unchanged(kind):
    known = {
        "rpm": 5,
        "models": ["a"],
        "budget": "5/day",
        "expires": "2027-01-15T08:00:00Z",
        "parent": "p",
        "team": "t",
    }
    known |= {"profile": "s", "cost_center": "4711", "pot": "key", "require": {"region": "eu"}}
    row = KINDS[kind]
    values = {name: value for name, value in known.items() if name in row.fields}
    policy = organisation.read(row, row.written(**values))
    assert organisation.write(row, policy) == values
    assert organisation.decode(organisation.encode(policy)) == policy


def test_a_field_of_a_newer_program_is_refused_and_not_overlooked():
    with pytest.raises(Exception, match="of_tomorrow"):
        organisation.decode(b'{"of_tomorrow": 5}')
