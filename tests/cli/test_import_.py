# switchgear:allow-file: samples
import json

import pytest
import yaml
from click.testing import CliRunner

from switchgear.cli import import_
from switchgear.core.errors import UserError
from switchgear.importers.litellm import Importer


def test_files_that_are_included_are_merged(tmp_path):
    (tmp_path / "a.yaml").write_text("include: [b.yaml]\nmodel_list:\n- {model_name: a}\nlitellm_settings: {x: 1}\n")
    (tmp_path / "b.yaml").write_text("model_list:\n- {model_name: b}\nlitellm_settings: {x: 2}\nguardrails: []\n")
    raw = import_.read_config(tmp_path / "a.yaml")
    assert [m["model_name"] for m in raw["model_list"]] == ["a", "b"]
    assert raw["litellm_settings"] == {"x": 1} and raw["guardrails"] == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "not YAML"),
        ("- 1", "mapping with model_list"),
        ("", "mapping"),
        ("a: !!python/name:os.system", "not YAML"),
        ("include: [a.yaml]", "circle"),
    ],
)
def test_a_file_that_is_no_litellm_configuration_is_refused(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        import_.read_config(tmp_path / "a.yaml")


def test_a_missing_file_is_refused_by_the_systems_words(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        import_.read_config(tmp_path / "none.yaml")


def test_a_file_is_written_once_closed_and_never_through_a_link(tmp_path):
    import_._write(tmp_path / "out", "x")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserError, match="exists already"):
        import_._write(tmp_path / "out", "y")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(UserError):
        import_._write(tmp_path / "link", "y")
    assert not (tmp_path / "target").exists()


def test_a_written_configuration_is_short_and_compiles():
    raw = {
        "model_list": [
            {"model_name": "m", "litellm_params": {"model": "openai/gpt-4o-mini", "api_key": "os.environ/K"}}
        ]
    }
    text = import_.as_yaml(Importer(raw).run())
    assert yaml.safe_load(text) == {
        "version": 1,
        "providers": {"openai": {"credentials": [{"name": "k", "secret": {"env": "K"}}]}},
        "models": {"m": {"deployments": [{"provider": "openai", "model": "gpt-4o-mini", "credential": "k"}]}},
    }
    compiled, problems = import_.check(text)
    assert problems == [] and compiled.models[0].name == "m"


def test_a_written_model_of_an_unknown_provider_is_a_problem():
    compiled, problems = import_.check("version: 1\nmodels: {m: {deployments: [{provider: nobody, model: x}]}}\n")
    assert compiled is not None and "no provider 'nobody'" in problems[0].message


def test_what_does_not_hold_together_costs_its_own_part_and_is_listed():
    stars = "*".join("abcdefg")
    raw = {
        "model_list": [
            {"model_name": stars, "litellm_params": {"model": "openai/a", "api_key": "os.environ/K"}},
            {"model_name": "good", "litellm_params": {"model": "openai/b", "api_key": "os.environ/K"}},
        ],
        "litellm_settings": {"fallbacks": [{"good": [stars]}]},
        "router_settings": {"model_group_alias": {"other": stars}},
    }
    found = Importer(raw).run()
    _, compiled, problems = import_.settle(found)
    assert problems == [] and [m.name for m in compiled.models] == ["good"] and compiled.models[0].fallback == ()
    assert any(stars in line.path and line.status == "unsupported" for line in found.lines)


CONFIG = """model_list:
- {model_name: one, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/SET}}
- {model_name: two, litellm_params: {model: groq/llama}}
"""


def test_the_report_ends_with_how_many_models_will_answer(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG)
    arguments = ["litellm", str(tmp_path / "config.yaml"), "--data", str(tmp_path / "none")]
    done = CliRunner().invoke(import_.import_, arguments, env={"SET": "sk-a", "GROQ_API_KEY": None})
    assert done.exit_code == 0 and done.output.splitlines()[-1] == "1 of 2 models will answer"
    assert "two: will not answer: there is no secret for groq/groq" in done.output
    done = CliRunner().invoke(import_.import_, [*arguments, "--json"], env={"SET": "sk-a", "GROQ_API_KEY": "gsk-b"})
    assert (json.loads(done.output)["answering"], json.loads(done.output)["models"]) == (2, 2)


def test_nothing_taken_over_is_a_failure_and_no_file(tmp_path):
    (tmp_path / "config.yaml").write_text("model_list: [{model_name: m, litellm_params: {model: nobody/m}}]\n")
    arguments = ["litellm", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out.yaml")]
    done = CliRunner().invoke(import_.import_, [*arguments, "--data", str(tmp_path / "none")])
    assert isinstance(done.exception, UserError) and done.exception.exit_code == 1
    assert "'nobody' is not known here" in done.output and not (tmp_path / "out.yaml").exists()


def test_an_empty_salt_file_is_refused(tmp_path):
    (tmp_path / "salt").write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        import_._salt(tmp_path / "salt")
