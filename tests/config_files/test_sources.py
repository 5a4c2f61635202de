"""The digest of several files, and what the module may import."""

import subprocess
import sys

from switchgear.config_files.sources import digest


def test_a_digest_depends_on_contents_their_number_and_order():
    one = digest([("a", "x"), ("b", "y")])
    assert one == digest([("c", b"x"), ("d", b"y")]), "names do not count"
    assert len({one, digest([("a", "y"), ("b", "x")]), digest([("a", "xy")]), digest([("a", "x")]), digest([])}) == 5


def test_the_supervisor_can_import_it_without_yaml():
    code = "import sys; from switchgear.config_files.sources import Sources; print('yaml' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
