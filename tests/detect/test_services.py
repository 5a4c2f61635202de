# switchgear:allow-file: samples of what it finds
import pytest

from switchgear.detect.rules import Library, Sample
from switchgear.detect.services import Response, ServiceDetector, ServiceMatch
from switchgear.discover.detector_set import shipped_files

PRODUCTS = Library.read(shipped_files()).products
DETECTOR = ServiceDetector(PRODUCTS)
INDEX = Response(status=200, body="<html><head><title>Shop</title></head></html>")


def judge(sample: Sample, control: Response | None = None) -> dict[str, ServiceMatch]:
    responses = {
        r.path: Response(status=r.status, body=r.body, headers={k.lower(): v for k, v in r.headers.items()})
        for r in sample.response
    }
    return {match.product: match for match in DETECTOR.judge(responses, control)}


def test_there_are_enough_products_and_each_has_a_sample():
    assert len(PRODUCTS) >= 60
    assert [p.id for p in PRODUCTS if not p.positive] == []
    assert all(p.source and p.as_of and p.ports for p in PRODUCTS)


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.id)
def test_a_product_is_known_by_its_answers_and_no_other_product_is(product):
    for sample in product.positive:
        found = judge(sample, Response(status=404, body="Not Found"))
        assert found[product.id].confidence == sample.expect
        others = {name: m.confidence for name, m in found.items() if name != product.id}
        assert "confirmed" not in others.values(), others


@pytest.mark.parametrize("product", [p for p in PRODUCTS if p.negative], ids=lambda p: p.id)
def test_what_only_looks_like_a_product_is_not_confirmed(product):
    for sample in product.negative:
        found = judge(sample, Response(status=404))
        assert product.id not in found or found[product.id].confidence != "confirmed"


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.id)
def test_a_server_that_answers_everything_alike_proves_nothing(product):
    everything = "\n".join(
        str(m.body or m.text or m.title or m.json or "") for p in PRODUCTS for probe in p.probe for m in probe.markers
    )
    page = Response(status=200, body=everything, headers={"server": "llama.cpp"})
    responses = dict.fromkeys(DETECTOR.paths(None), page)
    found = {match.product: match for match in DETECTOR.judge(responses, page)}
    assert product.id not in found or found[product.id].confidence != "confirmed"


def litellm(**more: Response) -> dict[str, Response]:
    readiness = '{"litellm_version":"1.81.14","success_callbacks":[],"use_aiohttp_transport":true}'
    return {"/health/readiness": Response(status=200, body=readiness), **more}


@pytest.mark.parametrize(
    ("models", "auth"),
    [
        (Response(status=200, body='{"data":[]}'), "open"),
        (Response(status=401, body="{}"), "auth"),
        (Response(status=403, body="{}"), "auth"),
        (Response(status=500, body="{}"), "unknown"),
        (Response(status=200, body="<html>"), "unknown"),
    ],
)
def test_what_is_asked_of_strangers_is_a_question_of_its_own(models, auth):
    match = DETECTOR.judge({**litellm(), "/v1/models": models}, None)[0]
    assert (match.product, match.version, match.auth) == ("litellm", "1.81.14", auth)


def test_a_service_without_a_first_user_is_claimable():
    config = '{"name":"Open WebUI","version":"0.9.1","features":{"auth":true,"enable_signup":true},"onboarding":true}'
    match = DETECTOR.judge({"/api/config": Response(status=200, body=config)}, None)[0]
    assert (match.product, match.auth) == ("open-webui", "claimable")


def test_a_server_of_models_that_nobody_knows_is_named_as_such():
    body = '{"object":"list","data":[{"id":"m","object":"model","owned_by":"acme"}]}'
    assert [m.product for m in DETECTOR.judge({"/v1/models": Response(status=200, body=body)}, None)] == [
        "openai-compatible"
    ]
    assert DETECTOR.judge({"/v1/models": INDEX, "/": INDEX}, INDEX) == []


def test_a_version_must_look_like_one():
    body = '{"litellm_version":"1.0 <script>","use_aiohttp_transport":true,"success_callbacks":[]}'
    assert DETECTOR.judge({"/health/readiness": Response(status=200, body=body)}, None)[0].version is None


def test_a_cut_body_is_not_read_as_json():
    body = '{"data": [1, 2'
    assert DETECTOR.judge({"/v1/models": Response(status=200, body=body, whole=False)}, None) == []


@pytest.mark.parametrize(
    ("image", "product"),
    [
        ("ghcr.io/berriai/litellm:main-v1.81.0", "litellm"),
        ("registry.acme.internal:5000/mirror/ghcr.io/berriai/litellm:v1", "litellm"),
        ("ollama/ollama", "ollama"),
        ("docker.io/vllm/vllm-openai:latest", "vllm"),
        ("nvcr.io/nim/meta/llama3:1", "nim"),
        ("postgres:16", None),
        ("acme/litellm-like:1", None),
    ],
)
def test_a_container_image_is_matched_to_its_product(image, product):
    found = DETECTOR.of_image(image)
    assert (found.id if found else None) == product


@pytest.mark.parametrize(
    ("command", "product"),
    [
        ("/opt/venv/bin/python /opt/venv/bin/litellm --config /etc/c.yaml --port 4000", "litellm"),
        ("python -m vllm.entrypoints.openai.api_server --model x", "vllm"),
        ("/usr/bin/ollama serve", "ollama"),
        ("vi litellm.yaml", None),
        ("/usr/sbin/nginx -g daemon off;", None),
    ],
)
def test_a_command_line_is_matched_to_its_product(command, product):
    found = DETECTOR.of_command(command)
    assert (found.id if found else None) == product


def test_a_package_is_matched_to_its_product_within_its_ecosystem():
    assert DETECTOR.of_package("pypi", "litellm").id == "litellm"
    assert DETECTOR.of_package("npm", "litellm") is None
