from switchgear.bench import discovery
from switchgear.detect.rules import Library
from switchgear.discover.detector_set import shipped_files

LIBRARY = Library.read(shipped_files())


def test_recall_and_false_positives_are_counted(tmp_path):
    kinds, total, found = discovery.recall(LIBRARY)
    assert kinds >= 50 and total >= 1_000 and found >= 0.99 * total
    (tmp_path / "a.py").write_text("x = 1\ny = 2\n")
    (tmp_path / "b.py").write_text("GROQ_API_KEY = 'gsk_" + "aB3dE6gH9jK2mN5pQ8sT" * 2 + "aB3dE6gH9jK2'\n")
    lines, wrong = discovery.false_positives(LIBRARY, [tmp_path])
    assert lines == 3 and wrong == [f"groq {tmp_path}/b.py"]


def test_the_log_is_as_large_as_asked(tmp_path):
    discovery.write_log(tmp_path / "x", 12)
    assert 12_000_000 <= (tmp_path / "x").stat().st_size < 24_000_000
    assert b"api.openai.com" in (tmp_path / "x").read_bytes()[:100_000]
