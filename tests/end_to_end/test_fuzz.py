"""Every fuzz target on its seeds and on mutations of them: seconds here, hours in `make fuzz`."""

import random

import pytest
from tests.end_to_end.fuzz_targets import SEEDS, TARGETS


def mutations(seeds, count):
    """Cut, repeat, flip and splice; always the same ones."""
    chance = random.Random(20_261_124)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 6)):
            at = chance.randint(0, len(data))
            kind = chance.randrange(5)
            if kind == 0:
                data[at:at] = bytes([chance.randrange(256)])
            elif kind == 1 and at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            elif kind == 2:
                del data[at : at + chance.randint(1, 8)]
            elif kind == 3:
                data[at:at] = data[max(0, at - chance.randint(1, 20)) : at]
            else:
                other = chance.choice(seeds)
                data[at:at] = other[chance.randint(0, len(other)) :][: chance.randint(1, 40)]
        yield bytes(data)


def test_every_target_has_seeds():
    assert set(SEEDS) == set(TARGETS) and len(TARGETS) >= 9


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_a_fuzz_target_survives_its_seeds_and_their_mutations(name):
    for seed in SEEDS[name]:
        TARGETS[name](seed)
    for data in mutations(SEEDS[name], 200 if name == "config" else 3_000):
        TARGETS[name](data)
