"""The fake clock moves when told."""


def test_both_clocks_move_together(clock):
    wall, monotonic = clock.wall_ms(), clock.monotonic_s()
    clock.advance(1.5)
    assert (clock.wall_ms() - wall, clock.monotonic_s() - monotonic) == (1500, 1.5)
