"""The mutants of `make mutants` fit the sources, and three of them are tried each time."""

import subprocess
import sys

from tests import mutants

TRIED = ("lose a call of a stream", "count cached tokens twice (chat)", "drop is_error to Anthropic")


def test_every_mutant_fits_its_file_and_has_a_name_of_its_own():
    assert [(mutant.name, wrong) for mutant in mutants.MUTANTS if (wrong := mutants.misfit(mutant))] == []
    assert len({mutant.name for mutant in mutants.MUTANTS}) == len(mutants.MUTANTS) >= 40
    assert all((mutants.ROOT / test).is_file() for mutant in mutants.MUTANTS for test in mutant.tests)
    assert all(mutant.old != mutant.new for mutant in mutants.MUTANTS)


def test_some_mutants_are_noticed():
    command = [sys.executable, "-m", "tests.mutants", *TRIED]
    done = subprocess.run(command, cwd=mutants.ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1:] == [f"{len(TRIED)} of {len(TRIED)} noticed"], done.stdout + done.stderr[-2000:]
