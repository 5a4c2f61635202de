# switchgear:allow-file: samples
import pytest

from switchgear.detect.infrastructure import DECLARED, found_in, words


@pytest.mark.parametrize(("text", "whose"), DECLARED)
def test_each_is_found_as_it_stands(text, whose):
    sample = text.replace("*", "_guardrail" if "::" not in text else "Guardrail")
    line = f'resource "{sample}" "x" {{' if "kind" not in text and "plugin" not in text else sample
    assert [w for _, w in found_in(line)] == [
        whose if not text.startswith("aws_bedrockagent") else "Amazon Bedrock agents"
    ]
    assert any(word in line.lower() for word in words("i"))


@pytest.mark.parametrize(
    "line",
    ["kind: Deployment", "kind: RayServiceX", "my_aws_bedrock", "uses: actions/checkout@v4", "azurerm_resource_group"],
)
def test_a_line_of_another_kind_is_no_infrastructure(line):
    assert found_in(line) == []


def test_a_kind_is_found_whatever_the_spaces_of_yaml():
    assert found_in("  kind:  RayService") and found_in("kind: RayService # x")
