"""Credentials are sealed to their places."""

from switchgear.config import schema
from switchgear.config.compile import CeilingSpec, build_provider
from switchgear.core.secret import Secret
from switchgear.vault import seal
from switchgear.vault.kek import KeyPair
from switchgear.vault.sealing import seal_all, seal_one

KEYS = KeyPair(Secret(b"k" * 32))


def test_a_sealed_secret_opens_in_its_place_only():
    spec = build_provider("openai", schema.Provider())
    put = seal_one(spec, "default", Secret(b"sk-secret"), KEYS.public, 7)
    assert put.context.endpoint == spec.endpoint and put.context.version == 7
    assert seal.is_same(seal.open_sealed(put.blob, put.context, KEYS), Secret(b"sk-secret"))


def test_a_sealed_credential_carries_its_ceilings():
    spec = build_provider(
        "openai", schema.Provider(credentials=[schema.Credential(name="a", ceilings=schema.Ceilings(concurrency=3))])
    )
    put = seal_one(spec, "a", Secret(b"s"), KEYS.public, 1)
    assert put.ceilings.concurrency == 3 == spec.ceilings["a"].concurrency
    assert isinstance(spec.ceilings["a"], CeilingSpec)


def test_every_secret_that_is_given_is_sealed_and_an_empty_one_where_none_is_taken():
    keyless = build_provider("own", schema.Provider(dialect="openai", base_url="https://h/v1", auth="none"))
    keyed = build_provider(
        "openai", schema.Provider(credentials=[schema.Credential(name="a"), schema.Credential(name="b")])
    )
    puts, refused = seal_all([keyless, keyed], {("openai", "a"): Secret(b"s")}, KEYS.public, 1)
    assert refused == []
    assert [(put.context.provider, put.context.credential) for put in puts] == [("own", "none"), ("openai", "a")]
    assert seal.is_same(seal.open_sealed(puts[0].blob, puts[0].context, KEYS), Secret(b""))


def test_a_secret_that_cannot_be_sealed_keeps_no_other_from_being_sealed():
    keyed = build_provider(
        "openai", schema.Provider(credentials=[schema.Credential(name="a"), schema.Credential(name="b")])
    )
    secrets = {("openai", "a"): Secret(b"x" * (seal.SECRET_BYTES_MAX + 1)), ("openai", "b"): Secret(b"s")}
    puts, refused = seal_all([keyed], secrets, KEYS.public, 1)
    assert [put.context.credential for put in puts] == ["b"]
    assert refused == ["the vault does not take credential openai/a: a credential may have at most 16384 bytes"]
