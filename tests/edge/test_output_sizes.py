"""What is expected of a model's next answer, against the percentile that statistics has."""

import random
import statistics

from switchgear.edge.output_sizes import MODELS_MAX, OutputSizes


def test_a_few_answers_say_nothing():
    sizes = OutputSizes()
    for _ in range(19):
        sizes.add("m", 100)
    assert sizes.usual("m") is None and sizes.usual("n") is None


def test_the_95th_percentile_is_never_understated_and_at_most_a_fifth_too_large():
    draw = random.Random(7)
    for shape in (lambda: draw.randint(1, 4_000), lambda: int(draw.lognormvariate(5, 1)) + 1, lambda: 0, lambda: 17):
        sizes, seen = OutputSizes(), [shape() for _ in range(900)]
        for size in seen:
            sizes.add("m", size)
        exact = statistics.quantiles(seen, n=100, method="inclusive")[94]
        assert exact * 0.97 <= sizes.usual("m") <= max(1, exact * 1.25)


def test_a_models_new_habits_are_learned():
    sizes = OutputSizes()
    for _ in range(5_000):
        sizes.add("m", 10)
    for _ in range(2_000):
        sizes.add("m", 1_000)
    assert sizes.usual("m") >= 1_000


def test_models_are_bounded():
    sizes = OutputSizes()
    for number in range(MODELS_MAX + 10):
        sizes.add(f"m{number}", 1)
    assert len(sizes._counts) == MODELS_MAX
