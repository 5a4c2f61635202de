import pytest

from switchgear.core.errors import UserError
from switchgear.discover import scope


def test_hosts_networks_and_ports():
    found = scope.targets_of(["10.0.0.0/30", "127.0.0.1:8000", "[::1]:9000", "gpu-1"], resolve=lambda name: "10.9.9.9")
    assert [(t.address, t.ports) for t in found] == [
        ("10.0.0.1", None), ("10.0.0.2", None), ("127.0.0.1", (8000,)), ("::1", (9000,)), ("10.9.9.9", None),
    ]  # fmt: skip
    assert found[-1].name == "gpu-1"


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("8.8.8.0/24", "is public"),
        ("0.0.0.0/0", "addresses"),
        ("10.0.0.0/8", "at most 4,096"),
        ("10.0.0.1/99", "not a network"),
        ("http://x", "not a host"),
        ("a b", "not a host"),
        ("", "not a host"),
        ("10.0.0.1:99999", "between 1 and 65535"),
    ],
)
def test_a_host_that_must_not_be_scanned_is_refused(host, said):
    with pytest.raises(UserError, match=said):
        scope.targets_of([host])


def test_a_public_address_counts_when_it_is_listed_singly():
    assert scope.targets_of(["8.8.8.8:443"])[0].address == "8.8.8.8"


def test_a_scope_file_names_owners(tmp_path):
    path = tmp_path / "scope.yaml"
    path.write_text("targets:\n  - hosts: [10.0.0.0/31, 10.1.0.1]\n    ports: [4000]\n    owner: ml-platform\n")
    assert [(t.address, t.ports, t.owner) for t in scope.read(path)][-1] == ("10.1.0.1", (4000,), "ml-platform")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets:\n  - hosts: [10.0.0.1]\n", "owner"),
        ("targets:\n  - hosts: [10.0.0.1]\n    owner: x\n    surprise: 1\n", ":4: .*surprise"),
        ("targets: [", "not YAML"),
        ("targets:\n  - {hosts: [10.0.0.1], owner: ' '}\n", "whose machines"),
        ("- 1\n", "scope.yaml:1"),
    ],
)
def test_a_scope_that_does_not_fit_is_refused_with_its_line(tmp_path, text, said):
    path = tmp_path / "scope.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=said):
        scope.read(path)


def test_a_missing_scope_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        scope.read(tmp_path / "none.yaml")
