"""What the command says of a simulated day, and how it ends."""

from switchgear.bench.simulate import main, report
from switchgear.bench.simulation import Simulation, Size


def test_the_command_says_what_it_did(capsys):
    assert main(["--hours", "0.05", "--keys", "20", "--teams", "2", "--seeds", "3"]) == 0
    told = capsys.readouterr().out
    assert "seed 3" in told and "answered" in told and "held" in told


def test_what_did_not_hold_is_said_by_name():
    done = Simulation(Size(hours=0.01, keys=5, teams=1), 1).run()
    assert report(done, 1.0)[-1] == "every limit, budget and count held"
    done.truth.violations.append("a bucket is wrong")
    assert report(done, 1.0)[-1] == "WRONG: a bucket is wrong"
