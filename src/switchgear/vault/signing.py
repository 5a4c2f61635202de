"""Signatures that providers ask for: AWS Signature Version 4 and JWT with RS256. Level 3. Pure.

AWS "Signature Version 4 signing process" and RFC 7515/7519 with RFC 7523 §2.1 (as of 2026-11). The tests compare with
botocore's and google-auth's own.
"""

import base64
import hashlib
import hmac
from urllib.parse import quote

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_SAFE = "-_.~"


class AwsKeys(msgspec.Struct, frozen=True):
    """What signs a request to AWS."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return "AwsKeys(…)"


def sign_aws(
    keys: AwsKeys,
    *,
    method: str,
    host: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes,
    region: str,
    service: str,
    amz_date: str,
) -> list[tuple[str, str]]:
    """Return the headers that sign a request: x-amz-date, authorization and, with temporary keys, the token.

    `target` is the path (escaped once) and query as sent; `headers` are further headers to sign, names in lower case;
    `amz_date` is the time as YYYYMMDDTHHMMSSZ.
    """
    path, _, query = target.partition("?")
    added = [("x-amz-date", amz_date)]
    if keys.session_token is not None:
        added.append(("x-amz-security-token", keys.session_token))
    signed = sorted([("host", host), *headers, *added])
    names = ";".join(name for name, _ in signed)
    pairs = sorted((pair.partition("=")[0], pair.partition("=")[2]) for pair in query.split("&") if pair)
    canonical = "\n".join(
        (
            method,
            quote(path, safe="/" + _SAFE),  # every service but S3 escapes the path a second time
            "&".join(f"{name}={value}" for name, value in pairs),  # escaped once already, as it is sent
            "".join(f"{name}:{' '.join(value.split())}\n" for name, value in signed),
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    day = amz_date[:8]
    scope = f"{day}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{amz_date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + keys.secret_access_key).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"{keys.access_key_id}/{scope}"
    value = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    return [*added, ("authorization", value)]


def _segment(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign_jwt(claims: dict[str, str | int], private_key_pem: str, key_id: str | None) -> str:
    """Return a JSON web token signed with RS256. Raises ValueError for a key that is no RSA key."""
    try:
        key = load_pem_private_key(private_key_pem.encode(), None)
    except (TypeError, UnsupportedAlgorithm) as exc:  # it is encrypted, or of a kind that nobody knows
        raise ValueError("the private key cannot be read") from exc
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the private key is not an RSA key")
    header: dict[str, str] = {"typ": "JWT", "alg": "RS256"}
    if key_id is not None:
        header["kid"] = key_id
    signing = _segment(msgspec.json.encode(header)) + b"." + _segment(msgspec.json.encode(claims))
    return (signing + b"." + _segment(key.sign(signing, padding.PKCS1v15(), hashes.SHA256()))).decode()
