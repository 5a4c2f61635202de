"""Configurations on disk: what is no plain file is refused, what is not there is told, CI needs no secrets."""

import os
from pathlib import Path

import pytest

from switchgear.config.names import Known
from switchgear.config_files.load import check_config, load_config
from switchgear.core.errors import ConfigError, UserError
from switchgear.core.iso_time import parse_time

WHOLE = """
providers:
  openai: {credentials: [{name: prod, secret: {env: OPENAI_KEY}}], base_url: {env: BASE}}
  own: {dialect: openai, base_url: "https://10.0.0.1/v1", allow_private: true, ca_file: ca.pem, credentials: [{sealed: true}]}
listen: {tls: {cert: tls/cert.pem, key: tls/key.pem}}
"""


def write(folder, text, name="switchgear.yaml"):
    path = folder / name
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    return path


def messages(checked):
    return [p.message for p in checked.problems]


def test_all_missing_files_and_variables_are_problems_of_one_check(tmp_path):
    checked = check_config(write(tmp_path, WHOLE), {})
    assert [(p.line, p.path) for p in checked.problems] == [
        (3, "providers.openai.base_url"),
        (3, "providers.openai.credentials[0].secret"),
        (4, "providers.own.ca_file"),
        (5, "listen.tls"),
    ]


def test_without_secrets_none_of_it_need_be_there(tmp_path):
    path = write(tmp_path, WHOLE + "models: {a: opnai/x}\n")
    checked = check_config(path, {}, without_secrets=True)
    assert [p.path for p in checked.problems] == ["models.a"]


def test_no_secret_is_read_without_secrets(tmp_path):
    text = "providers: {openai: {credentials: [{secret: {file: sa.json}}]}}"
    write(tmp_path, "sk-something", "sa.json")
    checked = check_config(write(tmp_path, text), {}, without_secrets=True)
    assert not checked.problems
    assert checked.loaded.secrets == {}


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "device", "bytes", "nul"])
def test_a_part_that_is_no_readable_text_is_a_problem_and_reading_ends(tmp_path, kind):
    part = tmp_path / "part.yaml"
    name = "part.yaml"
    if kind == "folder":
        part.mkdir()
    elif kind == "pipe":
        os.mkfifo(part)
    elif kind == "device":
        part.symlink_to("/dev/zero")
    elif kind == "bytes":
        part.write_bytes(b"models: {\xff: 1}\n")
    elif kind == "nul":
        name = '"part\\0.yaml"'
    checked = check_config(write(tmp_path, f"workers: 1\ninclude: [{name}]\n"), {})
    assert [(p.line, p.path) for p in checked.problems] == [(2, "include[0]")]


def test_a_first_file_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(UserError, match="does not exist") as caught:
        load_config(tmp_path / "gone.yaml", {})
    assert caught.value.exit_code == 2


def test_patterns_may_be_absolute_and_folders_do_not_match(tmp_path):
    write(tmp_path, "models: {a: openai/x}\n", "other/a.yaml")
    (tmp_path / "other" / "b.yaml").mkdir()
    loaded = load_config(write(tmp_path, f"include: ['{tmp_path}/other/*.yaml']\n"), {})
    assert [m.name for m in loaded.compiled.models] == ["a"]


def test_a_key_that_expired_is_a_warning_so_that_a_restart_goes_on(tmp_path):
    text = "keys: {old: {sha256: %s, expires: 2020-01-01}}" % ("ab" * 32)
    checked = check_config(write(tmp_path, text), {}, now_ms=parse_time("2026-01-01"))
    assert not checked.problems
    assert [(w.path, w.is_warning) for w in checked.loaded.warnings] == [("keys.old.expires", True)]


def test_a_secret_stays_sealed_while_its_reference_and_place_are_the_same(tmp_path):
    text = "providers: {openai: {base_url: 'https://a.example/v1', credentials: [{name: p, secret: {env: KEY}}]}}"
    path = write(tmp_path, text)
    running = load_config(path, {"KEY": "sk-1"}).compiled
    known = Known(credentials=frozenset({"openai/p"}))
    kept = load_config(path, {}, known=known, running=running)
    assert kept.kept == {("openai", "p"): "env:KEY"}
    assert kept.secrets == {}
    for changed, why in (
        (text.replace("KEY", "OTHER"), "restart it with this one set"),
        (text.replace("a.example", "b.example"), "the old address"),
        (text.replace("env: KEY}", "env: KEY}, ceilings: {concurrency: 3}"), "ceilings only"),
        (text.replace("env: KEY", "file: gone"), "cannot be read"),
    ):
        with pytest.raises(ConfigError, match=why):
            load_config(write(tmp_path, changed), {}, known=known, running=running)


def test_what_a_gateway_began_without_keeps_no_change_from_being_applied(tmp_path):
    text = "providers: {openai: {credentials: [{name: p, secret: {env: KEY}}]}}"
    running = load_config(write(tmp_path, text), {}, at_start=True).compiled
    nothing = Known(credentials=frozenset())
    found = load_config(write(tmp_path, text + "\nmodels: {a: openai/x}"), {}, known=nothing, running=running)
    assert [model.name for model in found.compiled.models] == ["a"] and not found.kept
    with pytest.raises(ConfigError, match="OTHER"):
        load_config(write(tmp_path, text.replace("KEY", "OTHER")), {}, known=nothing, running=running)


@pytest.mark.parametrize(
    ("secret", "why"),
    [("{env: KEY}", "environment variable 'KEY' is not set"), ("{file: gone}", "gone cannot be read")],
)
def test_at_a_start_a_secret_that_is_not_there_is_one_credentials_trouble(tmp_path, secret, why):
    text = f"""
providers:
  openai: {{credentials: [{{name: p, secret: {secret}}}]}}
  groq: {{credentials: [{{name: q, secret: {{env: GOOD}}}}]}}
"""
    path = write(tmp_path, text)
    loaded = load_config(path, {"GOOD": "sk-1"}, at_start=True)
    assert [spec.name for spec in loaded.compiled.providers] == ["openai", "groq"]
    assert list(loaded.secrets) == [("groq", "q")]
    [(name, said)] = loaded.unset.items()
    assert name == "openai/p" and why in said and ":3)" in said and "credential add openai --name p" in said
    with pytest.raises(ConfigError, match=why):
        load_config(path, {"GOOD": "sk-1"})


def test_variables_of_plain_text_are_remembered_for_a_reload(tmp_path):
    path = write(tmp_path, "listen: {data: {env: WHERE}}")
    running = load_config(path, {"WHERE": "127.0.0.1:5"}).compiled
    assert load_config(path, {}, running=running).compiled.process.data == "127.0.0.1:5"
    with pytest.raises(ConfigError):
        load_config(path, {})


def test_the_company_example_is_good_and_every_key_and_model_in_it_is_used():
    checked = check_config(Path(__file__).parents[2] / "deploy" / "company.yaml", {}, without_secrets=True)
    assert [str(problem) for problem in [*checked.problems, *checked.loaded.warnings]] == []
