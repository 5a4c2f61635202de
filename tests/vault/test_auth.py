"""Ways to authenticate that sign or trade: which questions they ask, and what they make of the answers."""

import json
from urllib.parse import parse_qs

import google.auth.jwt
import pytest
from tests.vault.test_signing import RSA_PEM

from switchgear.core.errors import SealError
from switchgear.providers import endpoint
from switchgear.vault.auth import Authorizer, Grant, GrantError, TokenFile, TokenResponse, authorizer

NOW = 1_790_000_000.0


def place(auth, **parameters):
    return endpoint.parse("https://api.example.com/v1", auth=auth, auth_parameters=parameters)


def token_flow(made, *replies):
    """Run a minting against given replies: (what was asked, the grant)."""
    exchange = made.begin(NOW)
    asked = [next(exchange)]
    for response in replies:
        try:
            asked.append(exchange.send(response))
        except StopIteration as end:
            return asked, end.value
    raise AssertionError("it asks for more")


def form(request):
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


def token(text="tok-123", seconds=3600):
    return TokenResponse(
        200, json.dumps({"access_token": text, "expires_in": seconds, "token_type": "Bearer"}).encode()
    )


def test_schemes_that_send_the_secret_as_it_is_have_no_authorizer():
    for auth in ("bearer", "x-api-key", "query", "none", "header:x-key"):
        assert authorizer(b"secret", place(auth)) is None


def test_aws_keys_sign_each_request():
    made = authorizer(b"AKIDEXAMPLEEXAMPLE:wJalrXUtnFEMIK7MDENGbPxRfiCY", place("sigv4", region="eu-central-1"))
    assert made.is_usable(NOW) and not made.can_fetch
    one = made.lines("POST", "h", "/model/x/converse", "application/json", b"{}", NOW)
    assert b"Credential=AKIDEXAMPLEEXAMPLE/20260921/eu-central-1/bedrock/aws4_request" in one
    assert one != made.lines("POST", "h", "/model/x/converse", "application/json", b"{ }", NOW)
    assert b"wJalr" not in one


@pytest.mark.parametrize(
    ("secret", "auth", "parameters", "text"),
    [
        (b"nonsense", "sigv4", {"region": "us-east-1"}, "ACCESS_KEY_ID:SECRET"),
        (b"{}", "sigv4", {"region": "us-east-1"}, "not AWS keys in JSON"),
        (b"AKIDEXAMPLEEXAMPLE:wJalrXUtnFEMIK7MDENGbPxRfiCY", "sigv4", {"region": "mars"}, "region"),
        (b"{", "google", {}, "not Google's JSON"),
        (b'{"type":"external_account"}', "google", {}, "not supported"),
        (b'{"type":"service_account","private_key":"x"}', "google", {}, "private key"),
        (b"secret", "entra", {}, "tenant_id"),
        (b"secret", "entra", {"tenant_id": "t/../x", "client_id": "c"}, "no tenant"),
        (b"a\nb", "entra", {"tenant_id": "t", "client_id": "c"}, "characters"),
        (b"", "web_identity", {"region": "us-east-1", "token": "a"}, "role_arn"),
        (b"", "web_identity", {"region": "us-east-1", "role_arn": "r"}, "token"),
        (b"", "workload_identity", {"token": "a"}, "audience"),
        (b"", "workload_identity", {"token": "a", "audience": "x", "service_account": "a/b"}, "no service account"),
        (b"secret", "oauth", {}, "token_url"),
        (b"secret", "oauth", {"token_url": "http://id.example.com/t", "client_id": "c"}, "not encrypted"),
    ],
)
def test_a_wrong_form_is_refused_with_a_sentence(secret, auth, parameters, text):
    with pytest.raises(SealError, match=text):
        authorizer(secret, place(auth, **parameters))


def test_an_assumed_role_is_asked_of_sts_and_its_keys_sign():
    made = authorizer(
        b"AKIDEXAMPLEEXAMPLE:wJalrXUtnFEMIK7MDENGbPxRfiCY",
        place("sigv4", region="us-east-1", role_arn="arn:aws:iam::1:role/x", external_id="e1"),
    )
    answer = (
        b"<r><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s1</SecretAccessKey>"
        b"<SessionToken>t1</SessionToken><Expiration>2026-12-01T00:00:00Z</Expiration></Credentials></r>"
    )
    asked, grant = token_flow(made, TokenResponse(200, answer))
    assert asked[0].endpoint.host == "sts.us-east-1.amazonaws.com"
    assert form(asked[0])["RoleArn"] == "arn:aws:iam::1:role/x" and form(asked[0])["ExternalId"] == "e1"
    assert "AWS4-HMAC-SHA256" in dict(asked[0].headers)["authorization"]
    assert (grant.keys.access_key_id, grant.keys.session_token) == ("ASIA1", "t1")
    with pytest.raises(GrantError, match="403: AccessDenied"):
        token_flow(made, TokenResponse(403, b"<Error><Code>AccessDenied</Code></Error>"))


def test_an_instances_role_is_asked_of_the_metadata_service():
    made = authorizer(b"", place("instance_role", region="us-east-1"))
    keys = {"AccessKeyId": "A", "SecretAccessKey": "S", "Token": "T", "Expiration": "2026-12-01T00:00:00Z"}
    asked, grant = token_flow(
        made,
        TokenResponse(200, b"imds-token"),
        TokenResponse(200, b"role-1"),
        TokenResponse(200, json.dumps(keys).encode()),
    )
    assert [request.method for request in asked] == ["PUT", "GET", "GET"]
    assert asked[2].target.endswith("/role-1") and asked[0].endpoint.host == "169.254.169.254"
    assert grant.keys.session_token == "T"
    with pytest.raises(GrantError, match="IMDSv2"):
        token_flow(made, TokenResponse(404, b""))
    with pytest.raises(GrantError, match="no role"):
        token_flow(made, TokenResponse(200, b"t"), TokenResponse(200, b"../../x y"))


def test_googles_service_account_asks_googles_own_address_whatever_its_json_says():
    secret = {
        "type": "service_account",
        "client_email": "r@x",
        "private_key": RSA_PEM,
        "token_uri": "https://evil.example/t",
    }
    made = authorizer(json.dumps(secret).encode(), place("google"))
    asked, grant = token_flow(made, token())
    assert (asked[0].endpoint.host, asked[0].target) == ("oauth2.googleapis.com", "/token")
    claims = google.auth.jwt.decode(form(asked[0])["assertion"], verify=False)
    assert claims["iss"] == "r@x" and claims["exp"] - claims["iat"] == 3600
    assert grant.token == "tok-123" and grant.ends_s == NOW + 3600


def test_a_google_users_refresh_token_is_traded_for_a_token():
    secret = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"}
    asked, _ = token_flow(authorizer(json.dumps(secret).encode(), place("google")), token())
    assert form(asked[0])["grant_type"] == "refresh_token"


def test_entra_and_managed_identity_and_oauth():
    asked, _ = token_flow(authorizer(b"s3cret", place("entra", tenant_id="t-1", client_id="c")), token())
    assert asked[0].endpoint.host == "login.microsoftonline.com" and asked[0].target == "/t-1/oauth2/v2.0/token"
    assert form(asked[0])["scope"] == "https://cognitiveservices.azure.com/.default"
    asked, _ = token_flow(authorizer(b"", place("managed_identity", client_id="c")), token())
    assert ("metadata", "true") in asked[0].headers and "client_id=c" in asked[0].target
    sealed = {"token_url": "https://id.example.com/oauth/token", "client_id": "c", "scope": "a b"}
    asked, _ = token_flow(authorizer(b"s3cret", place("oauth", **sealed)), token())
    assert form(asked[0])["grant_type"] == "client_credentials" and form(asked[0])["scope"] == "a b"
    exchange = {"token_url": "https://id.example.com/t", "grant": "token_exchange", "audience": "x"}
    asked, _ = token_flow(authorizer(b"subject", place("oauth", **exchange)), token())
    assert form(asked[0])["subject_token"] == "subject"


def read_then_mint(made, content, *replies):
    """Like mint, for schemes that begin with the platform's token."""
    minting = made.begin(NOW)
    first = next(minting)
    assert isinstance(first, TokenFile)
    asked = [minting.send(TokenResponse(200, content))]
    for response in replies[:-1]:
        asked.append(minting.send(response))
    with pytest.raises(StopIteration) as end:
        minting.send(replies[-1])
    return first.name, asked, end.value.value


def test_a_web_identity_opens_a_role():
    made = authorizer(b"", place("web_identity", region="eu-central-1", role_arn="arn:aws:iam::1:role/x", token="aws"))
    answer = (
        b"<r><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s1</SecretAccessKey>"
        b"<SessionToken>t1</SessionToken><Expiration>2026-12-01T00:00:00Z</Expiration></Credentials></r>"
    )
    name, [request], grant = read_then_mint(made, b"eyJ.platform.token\n", TokenResponse(200, answer))
    assert (name, request.endpoint.host) == ("aws", "sts.eu-central-1.amazonaws.com")
    assert form(request)["Action"] == "AssumeRoleWithWebIdentity"
    assert form(request)["WebIdentityToken"] == "eyJ.platform.token"
    assert "authorization" not in dict(request.headers), "the token is the proof; nothing is signed"
    assert grant.keys.session_token == "t1"


def test_a_workload_identity_is_traded_and_may_act_as_a_service_account():
    audience = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x"
    plain = authorizer(b"", place("workload_identity", audience=audience, token="gcp"))
    _, [request], grant = read_then_mint(plain, b"jwt", token())
    assert (request.endpoint.host, request.target) == ("sts.googleapis.com", "/v1/token")
    assert form(request)["subject_token"] == "jwt" and form(request)["audience"] == audience
    assert grant.token == "tok-123"
    acting = authorizer(
        b"", place("workload_identity", audience=audience, token="gcp", service_account="ai@p.iam.gserviceaccount.com")
    )
    answer = {"accessToken": "ya29.as-the-account", "expireTime": "2026-12-01T00:00:00Z"}
    _, asked, grant = read_then_mint(acting, b"jwt", token(), TokenResponse(200, json.dumps(answer).encode()))
    assert asked[1].endpoint.host == "iamcredentials.googleapis.com"
    assert asked[1].target == "/v1/projects/-/serviceAccounts/ai@p.iam.gserviceaccount.com:generateAccessToken"
    assert ("authorization", "Bearer tok-123") in asked[1].headers
    assert grant.token == "ya29.as-the-account"
    with pytest.raises(GrantError, match="403"):
        read_then_mint(acting, b"jwt", token(), TokenResponse(403, b"{}"))


def test_an_entra_federation_trades_the_platforms_token_at_microsofts_address():
    made = authorizer(b"", place("entra_federated", tenant_id="t-1", client_id="c", token="azure"))
    _, [request], grant = read_then_mint(made, b"jwt", token())
    assert (request.endpoint.host, request.target) == ("login.microsoftonline.com", "/t-1/oauth2/v2.0/token")
    assert form(request)["client_assertion"] == "jwt" and "client_secret" not in form(request)
    assert grant.token == "tok-123"


@pytest.mark.parametrize("name", ["../kek", "/etc/shadow", "a/b", "", ".hidden", "a b", "a\0b", "x" * 200])
def test_C4_a_token_is_named_and_never_a_path(name):
    with pytest.raises(SealError, match="no path"):
        authorizer(b"", place("entra_federated", tenant_id="t", client_id="c", token=name))


@pytest.mark.parametrize("content", [b"", b"two words", b"a\r\nb", b"\xff", b"x" * 20_000])
def test_a_file_without_a_token_is_no_grant(content):
    made = authorizer(b"", place("entra_federated", tenant_id="t", client_id="c", token="azure"))
    with pytest.raises(GrantError, match="holds no token"):
        read_then_mint(made, content, token())


@pytest.mark.parametrize(
    "response",
    [
        TokenResponse(200, b"<html>"),
        TokenResponse(200, b"{}"),
        TokenResponse(400, b'{"error":"invalid_client"}'),
        token("two words"),
        token("a\r\nb"),
        token(""),
    ],
)
def test_an_answer_without_a_token_is_no_grant(response):
    with pytest.raises(GrantError, match="token service"):
        token_flow(authorizer(b"s", place("entra", tenant_id="t", client_id="c")), response)


def test_a_grant_ages_ends_and_is_forgotten():
    made = Authorizer(lambda now_s: None, None, "", "")
    assert made.is_aging(NOW) and not made.is_usable(NOW)
    made.take(Grant(NOW + 1000, token="tok"), NOW)
    assert made.is_usable(NOW) and not made.is_aging(NOW)
    assert made.is_aging(NOW + 800) and made.is_usable(NOW + 800)
    assert not made.is_usable(NOW + 995)
    assert made.sensitive() == [b"tok"]
    made.forget()
    assert not made.is_usable(NOW)
    made.take(Grant(NOW + 1e9, token="tok"), NOW)
    assert not made.is_usable(NOW + 50_000)  # no token is believed for longer than half a day
