"""Signatures, compared with those of the providers' own libraries."""

import json

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import google.auth.crypt
import google.auth.jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from switchgear.vault import signing
from switchgear.vault.signing import AwsKeys


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


RSA_PEM = pem(rsa.generate_private_key(65537, 2048))


def theirs(keys, method, host, target, headers, body, region, service):
    """Botocore's signature and the time that it took."""
    request = botocore.awsrequest.AWSRequest(method, f"https://{host}{target}", headers=dict(headers), data=body)
    credentials = botocore.credentials.Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    botocore.auth.SigV4Auth(credentials, service, region).add_auth(request)
    return request.headers["Authorization"], request.headers["X-Amz-Date"]


models = st.text("abc.:-_~ /é", min_size=1, max_size=12).filter(lambda text: text not in {".", ".."})


@given(
    models,
    st.binary(max_size=64),
    st.sampled_from([None, "TOKEN/with+signs=="]),
    st.sampled_from(["", "?a=b", "?b=2&a=1%20x&c"]),
    st.sampled_from(["POST", "GET"]),
)
def test_aws_signatures_are_botocores(model, body, token, query, method):
    from urllib.parse import quote

    keys = AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    target = f"/model/{quote(model, safe='')}/converse{query}"
    headers = [("content-type", "application/json")]
    host = "bedrock-runtime.us-east-1.amazonaws.com"
    expected, date = theirs(keys, method, host, target, headers, body, "us-east-1", "bedrock")
    mine = signing.sign_aws(
        keys,
        method=method,
        host=host,
        target=target,
        headers=headers,
        body=body,
        region="us-east-1",
        service="bedrock",
        amz_date=date,
    )
    assert dict(mine)["authorization"] == expected
    assert dict(mine).get("x-amz-security-token") == token


def test_a_json_web_token_is_googles():
    claims = {
        "iat": 1,
        "exp": 3601,
        "iss": "robot@example.iam.gserviceaccount.com",
        "aud": "https://oauth2.googleapis.com/token",
    }
    mine = signing.sign_jwt(claims, RSA_PEM, "kid1")
    signer = google.auth.crypt.RSASigner.from_string(RSA_PEM, "kid1")
    theirs = google.auth.jwt.encode(signer, claims).decode()
    decoded = google.auth.jwt.decode(mine, verify=False)
    assert decoded == claims

    def parts(token):
        head, body, _ = token.split(".")
        import base64

        return [json.loads(base64.urlsafe_b64decode(text + "==")) for text in (head, body)]

    assert parts(mine) == parts(theirs)
    assert signer.sign(mine.rpartition(".")[0].encode()) == _signature(mine)


def _signature(token):
    import base64

    return base64.urlsafe_b64decode(token.rpartition(".")[2] + "==")


def test_another_kind_of_key_is_refused():
    with pytest.raises(ValueError, match="not an RSA key"):
        signing.sign_jwt({}, pem(ed25519.Ed25519PrivateKey.generate()), None)


def test_keys_do_not_print_themselves():
    assert "secret" not in repr(AwsKeys("id", "secret-value"))


def test_an_unreadable_private_key_is_a_value_error():
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    def pem(key, encryption=None):
        how = encryption or serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()

    good = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert signing.sign_jwt({}, pem(good), None).count(".") == 2
    for bad in (
        pem(good, serialization.BestAvailableEncryption(b"secret")),
        pem(ec.generate_private_key(ec.SECP256R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(good)[:400],
        pem(good).replace("M", "\ud800", 1),
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
        "",
    ):
        with pytest.raises(ValueError):
            signing.sign_jwt({}, bad, None)
