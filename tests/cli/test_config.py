"""`switchgear config`: a file is checked without a gateway, and applied, compared and taken back at the admin API itself."""

import csv
import io
import json

import jsonschema
import pytest
import yaml
from tests.cli.conftest import run

from switchgear.core.errors import ConfigError, UserError

GOOD = "version: 1\nproviders:\n  local: {dialect: openai, base_url: 'http://127.0.0.1:8000/v1', allow_private: true, auth: none}\n"
MODELS = GOOD + "models:\n  fast: local/small\n"
BAD = "version: 1\nmodels:\n  fast: nobody/x\nworkers: many\n"


@pytest.fixture
def file(tmp_path):
    """Write a configuration; returns its path."""

    def write(text):
        path = tmp_path / "switchgear.yaml"
        path.write_text(text)
        return str(path)

    return write


def alone(*arguments):
    return run("config", *arguments)


def test_a_good_file_is_counted_and_ends_with_0(file):
    done = alone("check", file(MODELS))
    assert done.exit_code == 0 and "good (1 provider, 1 model, 0 keys" in done.stdout


def test_every_problem_of_a_file_is_told_at_once(file):
    done = alone("check", file(BAD))
    assert isinstance(done.exception, ConfigError)
    assert [problem.line for problem in sorted(done.exception.problems, key=lambda p: p.line)] == [3, 4]


def test_the_report_for_programs_has_a_row_per_problem_and_exit_2(file):
    done = alone("check", "--json", file(BAD))
    report = json.loads(done.stdout)
    assert not report["ok"] and {row["line"] for row in report["problems"]} == {3, 4}
    assert {row["severity"] for row in report["problems"]} == {"error"}
    rows = list(csv.DictReader(io.StringIO(alone("check", "-o", "csv", file(BAD)).stdout)))
    assert {row["line"] for row in rows} == {"3", "4"}


def test_a_check_without_secrets_needs_no_variable(file):
    text = "version: 1\nproviders:\n  openai: {credentials: [{name: a, secret: {env: SURELY_NOT_SET}}]}\n"
    assert isinstance(alone("check", file(text)).exception, ConfigError)
    assert alone("check", "--no-secrets", file(text)).exit_code == 0


def test_a_warning_does_not_fail_a_check(file):
    text = GOOD + "keys:\n  k: {sha256: '%s', models: []}\n" % ("ab" * 32)
    done = alone("check", "--json", file(text))
    assert done.exit_code == 0, done.output
    assert [row["severity"] for row in json.loads(done.stdout)["problems"]] == ["warning"]


def test_the_schema_is_one_and_judges_files_as_the_check_does():
    """JSON Schema 2020-12: its meta-schema accepts it."""
    found = json.loads(alone("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(found)
    judge = jsonschema.Draft202012Validator(found)
    assert judge.is_valid(yaml.safe_load(MODELS))
    for text in ("surprise: 1", "workers: many", "providers: []", "providers: {a: {surprise: 1}}"):
        assert not judge.is_valid({"version": 1} | yaml.safe_load(text)), text


def test_an_applied_file_is_in_force_and_no_longer_differs(served, file):
    path = file(MODELS)
    done = served.run("config", "apply", path)
    assert done.exit_code == 0 and f"applied {path}" in done.stdout, done.exception
    assert served.run("config", "diff", path).exit_code == 0
    assert {m.name for m in served.desk.services.publication.compiled.models} == {"fast"}
    assert [item.id for item in served.desk.link.box.list()] == ["local/none"]


def test_a_difference_is_shown_key_by_key_with_exit_1(served, file):
    served.run("config", "apply", file(MODELS))
    path = file(MODELS.replace("local/small", "local/large"))
    done = served.run("config", "diff", path)
    assert done.exit_code == 1 and "models.fast: local/small → local/large" in done.stdout
    rows = json.loads(served.run("config", "diff", path, "--json").stdout)["changes"]
    assert rows == [{"path": "models.fast", "change": "changed", "old": "local/small", "new": "local/large"}]


def test_a_dry_run_changes_nothing(served, file):
    done = served.run("config", "apply", "--dry-run", file(MODELS))
    assert done.exit_code == 0 and "would change" in done.stdout
    assert served.desk.services.publication.compiled.models == () and served.desk.link.box.list() == []


def test_a_file_with_a_problem_is_not_applied(served, file):
    assert isinstance(served.run("config", "apply", file(BAD)).exception, ConfigError)
    assert served.desk.services.publication.compiled.models == ()


def test_a_name_of_file_and_store_is_refused_by_both_places(served, file):
    served.run(
        *("provider", "add", "local", "--dialect", "openai", "--base-url", "http://127.0.0.1:1/v1"),
        *("--allow-private", "--auth", "none"),
    )
    for arguments in (("--dry-run",), ()):
        done = served.run("config", "apply", *arguments, file(GOOD))
        assert isinstance(done.exception, UserError) and "in the file and in the store" in str(done.exception)
    assert "provider remove local" in done.exception.hint


def test_an_export_is_a_file_that_changes_nothing(served, file):
    served.run("config", "apply", file(MODELS))
    exported = served.run("config", "export")
    assert exported.exit_code == 0
    assert served.run("config", "diff", file(exported.stdout)).exit_code == 0
    assert json.loads(served.run("config", "export", "--json").stdout)["models"] == {"fast": "local/small"}
    assert "CSV" in str(served.run("config", "export", "-o", "csv").exception)


def test_a_rollback_brings_the_configuration_before_the_last_back(served, file):
    served.run("config", "apply", file(MODELS))
    served.run("config", "apply", file(MODELS.replace("local/small", "local/large")))
    shown = served.run("config", "rollback", "previous", "--dry-run").stdout
    assert "models.fast: local/large → local/small" in shown
    assert served.run("config", "diff", file(MODELS)).exit_code == 1
    done = served.run("config", "rollback", "previous", "--yes")
    assert done.exit_code == 0 and "is in force" in done.stdout, done.exception
    assert served.run("config", "diff", file(MODELS)).exit_code == 0


def test_the_history_lists_each_configuration_with_its_author(served, file):
    assert "no configuration was applied yet" in served.run("config", "history").stdout
    served.run("config", "apply", file(MODELS))
    (version,) = json.loads(served.run("config", "history", "--json").stdout)["versions"]
    assert version["actor"] == "token tests" and version["number"] >= 1


@pytest.mark.parametrize(("version", "words"), [("latest", "neither a number"), ("-1", "neither"), ("999", "999")])
def test_a_rollback_to_no_version_is_refused(served, version, words):
    done = served.run("config", "rollback", "--yes", "--", version)
    assert isinstance(done.exception, UserError) and words in str(done.exception)
