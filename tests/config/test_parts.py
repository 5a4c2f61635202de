"""Several files as one configuration: nothing is left out in silence, nothing stands twice."""

import posixpath
from fnmatch import fnmatch

import pytest

from switchgear.config import parts, schema
from switchgear.config.reader import Reader


class Files:
    """Files in a dictionary, as `Sources`."""

    def __init__(self, files):
        self.files = files

    def read(self, path):
        if posixpath.normpath(path) not in self.files:
            raise ValueError("does not exist")
        return self.files[posixpath.normpath(path)]

    def match(self, pattern):
        return sorted(path for path in self.files if fnmatch(path, pattern))

    def identity(self, path):
        return posixpath.normpath(path)


def gather(files, first="main.yaml"):
    reader = Reader(lambda kind, name: "found")
    joined = parts.Parts(reader, Files(files))
    node = joined.gather(first)
    config = reader.read(node) if node is not None else schema.Config()
    return config, [f"{p.file}:{p.line} {p.path} {p.message}" for p in reader.problems], joined, reader


def test_every_section_may_stand_in_an_included_file():
    config, problems, _, _ = gather(
        {
            "main.yaml": "include: [parts/*.yaml]\nmodels: {a: openai/x}\nlimits: {head_s: 5}\n",
            "parts/1.yaml": "version: 1\nlimits: {url_bytes_max: 1000}\ndefaults: {unpriced: refuse_all}\nmodels: {b: openai/y}\n",
            "parts/2.yaml": "listen: {data: '127.0.0.1:1'}\npricing: {discount: {openai: 10%}}\nkeys: {k: {sha256: aa}}\n",
            "parts/3.yaml": "pricing: {overrides: {openai/x: free}}\nx-anchors: 1\n",
        }
    )
    assert not problems
    assert set(config.models) == {"a", "b"}
    assert (config.limits.head_s, config.limits.url_bytes_max) == (5, 1000)
    assert config.defaults.unpriced == "refuse_all"
    assert config.listen.data == "127.0.0.1:1"
    assert config.pricing.discount == {"openai": "10%"}
    assert config.pricing.overrides == {"openai/x": "free"}
    assert set(config.keys) == {"k"}


@pytest.mark.parametrize(
    ("main", "part", "path"),
    [
        ("models: {a: openai/x}\n", "models: {a: openai/y}\n", "models.a"),
        ("keys: {a: {sha256: aa}}\n", "keys: {a: {sha256: aa}}\n", "keys.a"),
        ("limits: {head_s: 5}\n", "limits: {head_s: 5}\n", "limits.head_s"),
        ("workers: 1\n", "workers: 2\n", "workers"),
        ("defaults: {unpriced: allow}\n", "defaults: {unpriced: refuse_all}\n", "defaults.unpriced"),
        ("pricing: {discount: {openai: 1%}}\n", "pricing: {discount: {openai: 2%}}\n", "pricing.discount.openai"),
        ("listen: {tls: {cert: a, key: b}}\n", "listen: {tls: {cert: a, key: b}}\n", "listen.tls"),
    ],
)
def test_an_entry_in_two_files_is_a_problem_that_names_both_places(main, part, path):
    _, problems, _, _ = gather({"main.yaml": "include: [p.yaml]\n" + main, "p.yaml": part})
    assert len(problems) == 1
    assert problems[0].startswith(f"p.yaml:1 {path} ")
    assert "stands twice (first in main.yaml:2)" in problems[0]


def test_the_same_section_twice_in_one_file_is_a_problem():
    _, problems, _, _ = gather(
        {"main.yaml": "models: {a: openai/x}\ninclude: [p.yaml]\n", "p.yaml": "models: {}\nmodels: {}\n"}
    )
    assert len(problems) == 1
    assert "'models' stands twice" in problems[0]


def test_a_file_that_is_not_there_is_a_problem_with_its_line():
    _, problems, _, _ = gather({"main.yaml": "models: {}\ninclude:\n  - there.yaml\n  - gone.yaml\n", "there.yaml": ""})
    assert problems == ["main.yaml:4 include[1] 'gone.yaml' does not exist"]


def test_a_pattern_that_matches_nothing_is_told_of():
    _, problems, joined, _ = gather({"main.yaml": "include: [parts/*.yaml]\n"})
    assert not problems
    assert joined.empty_patterns == [("main.yaml", 1, "parts/*.yaml")]


@pytest.mark.parametrize(
    "files",
    [
        {"main.yaml": "include: [main.yaml]\n"},
        {"main.yaml": "include: ['*.yaml']\n", "a.yaml": "workers: 1\n"},
        {"main.yaml": "include: [sub/a.yaml]\n", "sub/a.yaml": "include: [../main.yaml]\n"},
    ],
)
def test_a_file_that_includes_itself_is_a_problem(files):
    assert any("includes itself" in problem for problem in gather(files)[1])


def test_files_included_twice_are_read_once():
    config, problems, _, _ = gather(
        {"main.yaml": "include: [a.yaml, b.yaml]\n", "a.yaml": "include: [b.yaml]\n", "b.yaml": "workers: 3\n"}
    )
    assert not problems
    assert config.workers == 3


def test_paths_are_relative_to_the_file_they_stand_in():
    looked = []
    reader = Reader(lambda kind, name: looked.append((kind, name)) or "found")
    files = {
        "/etc/s/main.yaml": "include: [tenants/a.yaml]\nlisten: {tls: {cert: c.pem, key: /k.pem}}\n",
        "/etc/s/tenants/a.yaml": "providers: {openai: {ca_file: ca.pem, credentials: [{secret: {file: sa.json}}]}}\n",
    }
    config = reader.read(parts.Parts(reader, Files(files)).gather("/etc/s/main.yaml"))
    assert looked == [("file", "/etc/s/tenants/sa.json")]
    assert config.providers["openai"].ca_file == "/etc/s/tenants/ca.pem"
    assert (config.listen.tls.cert, config.listen.tls.key) == ("/etc/s/c.pem", "/k.pem")


def test_depth_and_number_of_files_are_bounded(monkeypatch):
    deep = {"main.yaml": "include: [1.yaml]\n"} | {f"{n}.yaml": f"include: [{n + 1}.yaml]\n" for n in range(1, 20)}
    assert any("deep" in problem for problem in gather(deep)[1])
    many = {"main.yaml": "include: [p/*.yaml]\n"} | {f"p/{n}.yaml": "" for n in range(parts.FILES_MAX + 50)}
    _, problems, joined, _ = gather(many)
    assert len(problems) == 1
    assert len(joined.files) == parts.FILES_MAX


def test_problems_of_all_files_come_at_once():
    _, problems, _, _ = gather(
        {"main.yaml": "include: [a.yaml, b.yaml]\nwrokers: 1\n", "a.yaml": "alerts: {}\n", "b.yaml": "workers: [\n"}
    )
    assert sorted(problem.split()[0] for problem in problems) == ["a.yaml:1", "b.yaml:2", "main.yaml:2"]
