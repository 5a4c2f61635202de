# switchgear:allow-file: samples
import pytest
import yaml

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
def test_what_is_no_configuration_is_refused(tmp_path, text, said):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        import_.read_config(tmp_path / "a.yaml")


def test_a_missing_file(tmp_path):
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


def test_what_is_written_is_short_and_compiles():
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


def test_what_does_not_hold_together_is_said():
    compiled, problems = import_.check("version: 1\nmodels: {m: {deployments: [{provider: nobody, model: x}]}}\n")
    assert compiled is not None and "no provider 'nobody'" in problems[0].message


def test_an_empty_salt_file_is_refused(tmp_path):
    (tmp_path / "salt").write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        import_._salt(tmp_path / "salt")
