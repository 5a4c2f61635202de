"""Two checkouts beside each other."""

from switchgear.bench import beside


def test_the_ratio_is_the_median_of_the_pairs():
    assert beside.ratio([(100.0, 110.0), (10.0, 30.0), (50.0, 50.0)]) == 1.1


def test_a_checkout_without_an_environment_is_said_with_what_to_do(tmp_path, capsys):
    assert beside.main([str(tmp_path)]) == 2
    assert "make install" in capsys.readouterr().err
