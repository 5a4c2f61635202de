"""Credentials that are not sent as they are: requests are signed with them, or they are traded for short-lived tokens.
Level 3, sans-I/O: what has to be asked is yielded, `token_fetcher` asks it.

Where tokens come from is fixed here or sealed with the credential, never taken from the secret's own JSON. Sources, as of
2026-11: AWS STS API reference ("AssumeRole") and EC2 user guide ("Retrieve instance metadata"); Google Identity, "Using
OAuth 2.0 for server to server applications"; Microsoft identity platform, "client credentials flow", and Azure "managed
identities: acquire a token", "workload identity federation"; AWS STS API reference ("AssumeRoleWithWebIdentity"); Google
Cloud, "Workload Identity Federation" and "generateAccessToken"; RFC 6749 §4.4; RFC 7523 §2.2; RFC 8693 §2.1.
"""

import datetime
import re
from collections.abc import Callable, Generator
from urllib.parse import quote, urlencode

import msgspec

from switchgear.core.errors import UNREADABLE, SealError
from switchgear.providers import endpoint
from switchgear.providers.endpoint import Endpoint
from switchgear.vault import signing
from switchgear.vault.signing import AwsKeys

EARLY_S = 300.0
"""A grant is renewed so long before it ends, in the background."""
LATEST_S = 10.0
"""And not used any more so long before it ends."""
LIFETIME_MAX_S = 43_200.0
_FORM = ("content-type", "application/x-www-form-urlencoded")
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_AZURE_RESOURCE = "https://cognitiveservices.azure.com"
_METADATA = "http://169.254.169.254"


class TokenRequest(msgspec.Struct, frozen=True):
    """A request on the way to a grant."""

    endpoint: Endpoint
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    is_metadata: bool = False
    """Asks the machine's own metadata service, which nothing else can reach."""


class TokenFile(msgspec.Struct, frozen=True):
    """Asks for the platform's token: a file's name in the one folder that the operator gave at the start, never a path."""

    name: str


class TokenResponse(msgspec.Struct, frozen=True):
    """Its answer."""

    status: int
    body: bytes


class Grant(msgspec.Struct, frozen=True):
    """What a request is authorized with, until `ends_s` (Unix time): a bearer token, or keys that sign."""

    ends_s: float
    token: str | None = None
    keys: AwsKeys | None = None


class GrantError(Exception):
    """No grant was given; the text says why, without secrets."""


TokenFlow = Generator[TokenRequest | TokenFile, TokenResponse, Grant]
StartTokenFlow = Callable[[float], TokenFlow]
"""(Unix time in s) → the questions that lead to a grant."""


class Authorizer:
    """Authorizes the requests of one credential. It keeps the grant; whoever waits for one is kept by the token fetcher."""

    __slots__ = ("_flow", "_grant", "_region", "_service")

    def __init__(self, token_flow: StartTokenFlow | None, grant: Grant | None, region: str, service: str) -> None:
        self._flow = token_flow
        self._grant = grant
        self._region = region
        self._service = service

    @property
    def can_fetch(self) -> bool:
        """False where the keys themselves sign."""
        return self._flow is not None

    def is_usable(self, now_s: float) -> bool:
        """True while a request can be authorized at once."""
        return self._grant is not None and now_s < self._grant.ends_s - LATEST_S

    def is_aging(self, now_s: float) -> bool:
        """True when it is time to renew."""
        return self._grant is None or now_s > self._grant.ends_s - EARLY_S

    def begin(self, now_s: float) -> TokenFlow:
        """Return the questions that lead to a new grant."""
        assert self._flow is not None
        return self._flow(now_s)

    def take(self, grant: Grant, now_s: float) -> None:
        """Keep a grant."""
        self._grant = msgspec.structs.replace(grant, ends_s=min(grant.ends_s, now_s + LIFETIME_MAX_S))

    def forget(self) -> None:
        """The provider refused the token: ask for another before the next request."""
        if self._flow is not None:
            self._grant = None

    def sensitive(self) -> list[bytes]:
        """Return what must not leave the vault."""
        grant = self._grant
        if grant is None:
            return []
        texts = [grant.token]
        if grant.keys is not None:
            texts += [grant.keys.secret_access_key, grant.keys.session_token]
        return [text.encode() for text in texts if text]

    def lines(self, method: str, host: str, target: str, content_type: str, body: bytes, now_s: float) -> bytes:
        """Return the header lines that authorize a request. The caller checked `is_usable`."""
        grant = self._grant
        assert grant is not None
        if grant.token is not None:
            return b"authorization: Bearer %b\r\n" % grant.token.encode("ascii")
        assert grant.keys is not None
        date = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = signing.sign_aws(
            grant.keys,
            method=method,
            host=host,
            target=target,
            headers=[("content-type", content_type)] if content_type else [],
            body=body,
            region=self._region,
            service=self._service,
            amz_date=date,
        )
        return b"".join(b"%b: %b\r\n" % (name.encode("ascii"), value.encode("ascii")) for name, value in signed)


_FOREVER = 1e18
_URLS = ("token_url", "impersonation_url")


def authorizer(value: bytes, place: Endpoint) -> Authorizer | None:
    """Return what authorizes requests with a secret, or None for schemes that send it as it is. Raises SealError when the
    secret is not of the scheme's form."""
    make = _SCHEMES.get(place.auth)
    if (
        make is not None
        and not place.allow_private
        and any(dict(place.auth_parameters).get(name, "").startswith("http://") for name in _URLS)
    ):
        raise SealError(
            f"{' or '.join(_URLS)} is not encrypted: use https://, or say allow_private for a server of your own"
        )
    return make(value, place, dict(place.auth_parameters)) if make is not None else None


def _sigv4(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    keys = _aws_keys(value)
    region, service = _aws_place(place, parameters)
    if "role_arn" not in parameters:
        return Authorizer(None, Grant(_FOREVER, keys=keys), region, service)
    return Authorizer(lambda now_s: _assume_role(keys, parameters, region, now_s), None, region, service)


def _aws_keys(value: bytes) -> AwsKeys:
    text = value.decode("ascii", "replace").strip()
    if text.startswith("{"):
        try:
            return msgspec.json.decode(text, type=AwsKeys)
        except UNREADABLE as exc:
            raise SealError(f"the credential is not AWS keys in JSON: {exc}") from None
    found = re.fullmatch(r"([A-Z0-9]{16,128}):([A-Za-z0-9/+=]{16,128})(?::([A-Za-z0-9/+=]{16,4096}))?", text)
    if found is None:
        raise SealError(
            "AWS keys are given as ACCESS_KEY_ID:SECRET_ACCESS_KEY, or as JSON with these names in lower case"
        )
    return AwsKeys(found.group(1), found.group(2), found.group(3))


def _aws_place(place: Endpoint, parameters: dict[str, str]) -> tuple[str, str]:
    region = parameters.get("region", "")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[0-9]", region):
        raise SealError(f"the region {region!r} is not one of AWS: set `region` on the provider")
    return region, parameters.get("service", "bedrock")


def _place(url: str, parameters: dict[str, str] | None = None) -> Endpoint:
    """Parse the address of a token service; `token_url` among the sealed parameters replaces it."""
    given = (parameters or {}).get("token_url")
    private = given is not None and given.startswith("http://")
    try:
        return endpoint.parse(given or url, auth="none", allow_private=private or url.startswith("http://"))
    except ValueError as exc:
        raise SealError(str(exc)) from None


def _assume_role(keys: AwsKeys, parameters: dict[str, str], region: str, now_s: float) -> TokenFlow:
    place = _place(f"https://sts.{region}.amazonaws.com", parameters)
    form = {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": parameters["role_arn"],
        "RoleSessionName": "switchgear",
    }
    if "external_id" in parameters:
        form["ExternalId"] = parameters["external_id"]
    body = urlencode(form).encode()
    date = datetime.datetime.fromtimestamp(now_s, datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    target = (place.path_prefix or "") + "/"
    host = place.host_header.decode()
    signed = signing.sign_aws(
        keys,
        method="POST",
        host=host,
        target=target,
        headers=[_FORM],
        body=body,
        region=region,
        service="sts",
        amz_date=date,
    )
    response = yield TokenRequest(place, "POST", target, [_FORM, *signed], body)
    return _aws_granted(response)


def _aws_granted(response: TokenResponse) -> Grant:
    if response.status != 200:
        raise GrantError(f"AWS STS answered {response.status}: {_xml(response.body, 'Code') or 'no reason given'}")
    found = [_xml(response.body, name) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")]
    if not all(found):
        raise GrantError("AWS STS answered without keys")
    key_id, secret, token, ends = (text or "" for text in found)
    return Grant(_time(ends), keys=AwsKeys(key_id, secret, token))


def _xml(body: bytes, name: str) -> str | None:
    found = re.search(rb"<%b>([^<]{1,8192})</%b>" % (name.encode(), name.encode()), body)
    return found.group(1).decode("utf-8", "replace") if found is not None else None


def _time(text: str) -> float:
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise GrantError("the token's end is no time") from None


_TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def _platform_token(parameters: dict[str, str]) -> Callable[[], Generator[TokenFile, TokenResponse, str]]:
    """Return how the platform's token is read: anew each time, because the platform renews it."""
    name = _need(parameters, "token")
    if not _TOKEN_NAME.fullmatch(name):
        raise SealError(f"token: {name[:64]!r} is not a file's name: letters, digits, '.', '_' and '-', and no path")

    def read() -> Generator[TokenFile, TokenResponse, str]:
        response = yield TokenFile(name)
        token = response.body.decode("ascii", "replace").strip()
        if not re.fullmatch(r"[\x21-\x7e]{1,16384}", token):
            raise GrantError(f"the token file {name!r} holds no token")
        return token

    return read


def _web_identity(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    region, service = _aws_place(place, parameters)
    role, read = _need(parameters, "role_arn"), _platform_token(parameters)

    def token_flow(now_s: float) -> TokenFlow:
        token = yield from read()
        where = _place(f"https://sts.{region}.amazonaws.com", parameters)
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": "switchgear",
            "WebIdentityToken": token,
        }
        response = yield TokenRequest(where, "POST", (where.path_prefix or "") + "/", [_FORM], urlencode(form).encode())
        return _aws_granted(response)

    return Authorizer(token_flow, None, region, service)


def _instance_role(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    region, service = _aws_place(place, parameters)
    return Authorizer(lambda now_s: _instance_keys(parameters), None, region, service)


class _InstanceKeys(msgspec.Struct, rename="pascal"):
    access_key_id: str
    secret_access_key: str
    token: str
    expiration: str


def _instance_keys(parameters: dict[str, str]) -> TokenFlow:
    place = _place(_METADATA, parameters)
    response = yield TokenRequest(
        place, "PUT", "/latest/api/token", [("x-aws-ec2-metadata-token-ttl-seconds", "300")], b"", True
    )
    token = response.body.decode("ascii", "replace").strip()
    if response.status != 200 or not re.fullmatch(r"[\x21-\x7e]{1,1024}", token):
        raise GrantError(
            f"the instance's metadata service answered {response.status}: is this an EC2 instance with IMDSv2?"
        )
    header = ("x-aws-ec2-metadata-token", token)
    path = "/latest/meta-data/iam/security-credentials/"
    response = yield TokenRequest(place, "GET", path, [header], b"", True)
    role = response.body.decode("ascii", "replace").strip()
    if response.status != 200 or not re.fullmatch(r"[\w+=,.@-]{1,64}", role):
        raise GrantError("the instance has no role")
    response = yield TokenRequest(place, "GET", path + quote(role), [header], b"", True)
    try:
        keys = msgspec.json.decode(response.body, type=_InstanceKeys)
    except UNREADABLE:
        raise GrantError(f"the instance's metadata service answered {response.status} without keys") from None
    return Grant(_time(keys.expiration), keys=AwsKeys(keys.access_key_id, keys.secret_access_key, keys.token))


class _ServiceAccount(msgspec.Struct):
    type: str
    client_email: str = ""
    private_key: str = ""
    private_key_id: str | None = None
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""


def _google(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    try:
        account = msgspec.json.decode(value, type=_ServiceAccount)
    except UNREADABLE as exc:
        raise SealError(f"the credential is not Google's JSON: {exc}") from None
    if account.type not in {"service_account", "authorized_user"}:
        raise SealError(
            f"Google credentials of type {account.type[:32]!r} are not supported; use a service account's key"
        )
    if account.type == "service_account":
        try:
            signing.sign_jwt({}, account.private_key, None)
        except ValueError:
            raise SealError("the service account's private key cannot be read") from None
    return Authorizer(lambda now_s: _google_token(account, parameters, now_s), None, "", "")


def google_assertion(account_email: str, key_pem: str, key_id: str | None, scope: str, now_s: float) -> str:
    """Return the signed claim that Google trades for a token; its audience is Google's token service, always."""
    now = int(now_s)
    claims: dict[str, str | int] = {
        "iat": now,
        "exp": now + 3600,
        "iss": account_email,
        "aud": "https://oauth2.googleapis.com/token",
        "scope": scope,
    }
    return signing.sign_jwt(claims, key_pem, key_id)


def _google_token(account: _ServiceAccount, parameters: dict[str, str], now_s: float) -> TokenFlow:
    if account.type == "service_account":
        scope = parameters.get("scope", _GOOGLE_SCOPE)
        signed = google_assertion(account.client_email, account.private_key, account.private_key_id, scope, now_s)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
    else:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": account.refresh_token,
            "client_id": account.client_id,
            "client_secret": account.client_secret,
        }
    return (yield from _token("https://oauth2.googleapis.com/token", form, parameters, now_s))


class _ServiceAccountToken(msgspec.Struct, rename="camel"):
    access_token: str = ""
    expire_time: str = ""


_EMAIL = re.compile(r"[A-Za-z0-9._-]{1,128}@[A-Za-z0-9.-]{1,128}")


def _workload_identity(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    audience, read = _need(parameters, "audience"), _platform_token(parameters)
    account = parameters.get("service_account")
    if account is not None and not _EMAIL.fullmatch(account):
        raise SealError(f"service_account: {account[:64]!r} is no service account's address")
    scope = parameters.get("scope", _GOOGLE_SCOPE)

    def token_flow(now_s: float) -> TokenFlow:
        token = yield from read()
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "scope": scope,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        }
        grant = yield from _token("https://sts.googleapis.com/v1/token", form, parameters, now_s)
        if account is None:
            return grant
        sealed = {"token_url": parameters["impersonation_url"]} if "impersonation_url" in parameters else None
        where = _place("https://iamcredentials.googleapis.com", sealed)
        headers = [("authorization", f"Bearer {grant.token}"), ("content-type", "application/json")]
        body = msgspec.json.encode({"scope": [scope], "lifetime": "3600s"})
        target = f"{where.path_prefix}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
        response = yield TokenRequest(where, "POST", target, headers, body)
        try:
            found = msgspec.json.decode(response.body, type=_ServiceAccountToken)
        except UNREADABLE:
            found = _ServiceAccountToken()
        if response.status != 200 or not re.fullmatch(r"[\x21-\x7e]{1,16384}", found.access_token):
            raise GrantError(f"Google's IAM answered {response.status} to the impersonation of {account}")
        return Grant(_time(found.expire_time), token=found.access_token)

    return Authorizer(token_flow, None, "", "")


def _entra_federated(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    tenant, client_id = _tenant(parameters), _need(parameters, "client_id")
    read = _platform_token(parameters)

    def token_flow(now_s: float) -> TokenFlow:
        token = yield from read()
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": token,
            "scope": parameters.get("scope", _AZURE_RESOURCE + "/.default"),
        }
        url = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
        return (yield from _token(url, form, parameters, now_s))

    return Authorizer(token_flow, None, "", "")


def _tenant(parameters: dict[str, str]) -> str:
    tenant = _need(parameters, "tenant_id")
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", tenant):
        raise SealError(f"tenant_id: {tenant[:64]!r} is no tenant's id or domain")
    return tenant


def _entra(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    tenant, client_id = _tenant(parameters), _need(parameters, "client_id")
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": _word(value),
        "scope": parameters.get("scope", _AZURE_RESOURCE + "/.default"),
    }
    url = f"https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
    return Authorizer(lambda now_s: _token(url, form, parameters, now_s), None, "", "")


def _managed_identity(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    def token_flow(now_s: float) -> TokenFlow:
        query = {"api-version": "2018-02-01", "resource": parameters.get("scope", _AZURE_RESOURCE)}
        if "client_id" in parameters:
            query["client_id"] = parameters["client_id"]
        where = _place(_METADATA, parameters)
        target = "/metadata/identity/oauth2/token?" + urlencode(query)
        response = yield TokenRequest(where, "GET", target, [("metadata", "true")], b"", True)
        return _granted(response, now_s)

    return Authorizer(token_flow, None, "", "")


def _oauth(value: bytes, place: Endpoint, parameters: dict[str, str]) -> Authorizer:
    url = _need(parameters, "token_url")
    if parameters.get("grant") == "token_exchange":
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": _word(value),
            "subject_token_type": parameters.get("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        }
    else:
        form = {
            "grant_type": "client_credentials",
            "client_id": _need(parameters, "client_id"),
            "client_secret": _word(value),
        }
    for key in ("scope", "audience", "resource"):
        if key in parameters:
            form[key] = parameters[key]
    return Authorizer(lambda now_s: _token(url, form, parameters, now_s), None, "", "")


def _need(parameters: dict[str, str], name: str) -> str:
    if name not in parameters:
        raise SealError(f"this way to authenticate needs `{name}`: set it under auth_parameters")
    return parameters[name]


def _word(value: bytes) -> str:
    if not value or any(byte <= 0x20 or byte >= 0x7F for byte in value):
        raise SealError("the credential has characters that cannot be sent (a newline?)")
    return value.decode("ascii")


def _token(url: str, form: dict[str, str], parameters: dict[str, str], now_s: float) -> TokenFlow:
    place = _place(url, parameters)
    target = place.path_prefix or "/"
    bare = msgspec.structs.replace(place, path_prefix="")
    response = yield TokenRequest(
        bare, "POST", target, [_FORM, ("accept", "application/json")], urlencode(form).encode()
    )
    return _granted(response, now_s)


class _Token(msgspec.Struct):
    access_token: str = ""
    expires_in: int | str = 3600
    error: msgspec.Raw = msgspec.Raw(b"null")


def _granted(response: TokenResponse, now_s: float) -> Grant:
    try:
        token = msgspec.json.decode(response.body, type=_Token)
    except UNREADABLE:
        raise GrantError(f"the token service answered {response.status} without a token") from None
    if response.status != 200 or not re.fullmatch(r"[\x21-\x7e]{1,16384}", token.access_token):
        reason = bytes(token.error)[:64].decode("utf-8", "replace").strip('"')
        raise GrantError(f"the token service answered {response.status}: {reason}")
    try:
        lifetime = float(token.expires_in)
    except ValueError:
        lifetime = 3600.0
    return Grant(now_s + max(60.0, lifetime), token=token.access_token)


_SCHEMES: dict[str, Callable[[bytes, Endpoint, dict[str, str]], Authorizer]] = {
    "sigv4": _sigv4,
    "instance_role": _instance_role,
    "web_identity": _web_identity,
    "google": _google,
    "workload_identity": _workload_identity,
    "entra": _entra,
    "entra_federated": _entra_federated,
    "managed_identity": _managed_identity,
    "oauth": _oauth,
}
