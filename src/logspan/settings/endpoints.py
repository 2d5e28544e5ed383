"""The sections that say where records and spans are sent: OTLP and Loki.

OTLP's endpoints follow the exporter specification: https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from logspan.settings.fields import Choice, ExistingFile, Headers, broken_rule
from logspan.settings.section import Section

Protocol = Annotated[Literal["http/protobuf", "grpc"], Choice]
Compression = Annotated[Literal["gzip", "none"], Choice]

_HTTP_DEFAULT = "http://localhost:4318"
_GRPC_DEFAULT = "http://localhost:4317"
_GRPC_SCHEMES = ("http", "https", "dns", "unix")


@dataclass(frozen=True, slots=True)
class OtlpTarget:
    """Where one signal goes.

    `address` is the full URL for `http/protobuf` (`http://localhost:4318/v1/logs`) and the channel's target for `grpc`
    (`localhost:4317`); `secure` says whether TLS is used.
    """

    protocol: Literal["http/protobuf", "grpc"]
    address: str
    secure: bool
    headers: Mapping[str, SecretStr]


def _no_credentials(url: str) -> str:
    if "@" in _split(url).netloc:
        raise ValueError("credentials do not belong in a URL, put them in the headers (authorization=Basic ...)")
    return url


def _http_url(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL that starts with http:// or https://")
    return url


def _split(url: str) -> SplitResult:
    """`urlsplit`, with a port that can be read."""
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
        _ = parts.port
    except ValueError:
        raise ValueError("must be a URL such as http://localhost:4318, its port from 0 to 65535") from None
    return parts


Endpoint = Annotated[str, AfterValidator(str.strip), AfterValidator(_no_credentials)]
HttpEndpoint = Annotated[Endpoint, AfterValidator(_http_url)]


class OtlpSettings(Section):
    """The OTLP exporter: logs, and the spans of requests."""

    endpoint: Endpoint | None = Field(
        default=None,
        description="Base URL of the receiver; for `http/protobuf`, `/v1/logs` and `/v1/traces` are appended. "
        "Unset: `http://localhost:4318`, or `localhost:4317` for `grpc`.",
    )
    logs_endpoint: Endpoint | None = Field(
        default=None, description="URL for logs alone, used as it is; it goes before `endpoint`."
    )
    traces_endpoint: Endpoint | None = Field(
        default=None, description="URL for spans alone, used as it is; it goes before `endpoint`."
    )
    protocol: Protocol = Field(default="http/protobuf", description="Transport of logs, and of spans.")
    traces_protocol: Protocol | None = Field(default=None, description="Transport of spans. Unset: as `protocol`.")
    headers: Headers = Field(
        default_factory=dict,
        description="Headers (gRPC: metadata) of each request, `name=value` with percent-encoding, as the OTLP "
        "specification has it. The values are secrets.",
    )
    traces_headers: Headers | None = Field(default=None, description="Headers for spans. Unset: as `headers`.")
    compression: Compression = Field(default="gzip", description="Compression of request bodies.")
    timeout: float = Field(
        default=10.0,
        gt=0,
        allow_inf_nan=False,
        description="Longest time for one request, in seconds; so the OTEL variables are read too, as the OTel SDK for "
        "Python does (the specification has milliseconds).",
    )
    certificate: ExistingFile | None = Field(
        default=None, description="PEM file of the authorities to trust. Unset: those of the system."
    )
    client_key: ExistingFile | None = Field(
        default=None, description="PEM file of the client's private key, for mutual TLS."
    )
    client_certificate: ExistingFile | None = Field(
        default=None, description="PEM file of the client's certificate, for mutual TLS."
    )
    insecure: bool | None = Field(
        default=None,
        description="gRPC without TLS, where the endpoint has no scheme (`http://` and `https://` say it themselves). "
        "Unset: with TLS.",
    )
    client: Annotated[Literal["logspan", "stock"], Choice] = Field(
        default="logspan",
        description="Who sends: `logspan` keeps the receiver's answer (status, partial success, Retry-After), `stock` "
        "is the exporter of opentelemetry-exporter-otlp.",
    )

    @property
    def has_logs_endpoint(self) -> bool:
        """Whether somebody said where logs go."""
        return bool(self.logs_endpoint or self.endpoint)

    @property
    def has_traces_endpoint(self) -> bool:
        """Whether somebody said where spans go."""
        return bool(self.traces_endpoint or self.endpoint)

    def resolved_logs_endpoint(self) -> OtlpTarget:
        """Where logs go; localhost when nothing is set."""
        return self._target(self.protocol, self.logs_endpoint, "v1/logs", self.headers)

    def resolved_traces_endpoint(self) -> OtlpTarget:
        """Where spans go; localhost when nothing is set."""
        headers = self.headers if self.traces_headers is None else self.traces_headers
        return self._target(self.traces_protocol or self.protocol, self.traces_endpoint, "v1/traces", headers)

    def _target(
        self, protocol: Literal["http/protobuf", "grpc"], own: str | None, path: str, headers: Mapping[str, SecretStr]
    ) -> OtlpTarget:
        if protocol == "grpc":
            address, secure = _grpc_target(own or self.endpoint or _GRPC_DEFAULT, insecure=bool(self.insecure))
        else:
            address = own or _append(self.endpoint or _HTTP_DEFAULT, path)
            secure = urlsplit(address).scheme == "https"
        return OtlpTarget(protocol, address, secure, headers)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        self._check("endpoint", self.endpoint, self.protocol)
        self._check("logs_endpoint", self.logs_endpoint, self.protocol)
        self._check("traces_endpoint", self.traces_endpoint, self.traces_protocol or self.protocol)
        if self.client_key and not self.client_certificate:
            raise broken_rule("client_key needs client_certificate", "client_key")
        return self

    def _check(self, name: str, url: str | None, protocol: str) -> None:
        if url is None:
            return
        parts = _split(url)
        scheme = parts.scheme or ("unix" if url.startswith("unix:") else "")
        if not parts.hostname and scheme not in ("dns", "unix"):
            raise broken_rule("must be a URL such as http://localhost:4318, with a host", name)
        if protocol != "grpc" and scheme not in ("http", "https"):
            raise broken_rule(
                "must start with http:// or https:// where the protocol is http/protobuf", name, "protocol"
            )
        if protocol == "grpc" and scheme and scheme not in _GRPC_SCHEMES:
            raise broken_rule("must be host:port, or start with http:// or https://", name, "protocol")


class LokiSettings(Section):
    """The Loki exporter: Loki's own OTLP endpoint, with a tenant and basic authentication."""

    endpoint: HttpEndpoint = Field(
        default="http://localhost:3100", description="Base URL of Loki; `/otlp/v1/logs` is appended."
    )
    tenant_id: str | None = Field(default=None, description="Tenant, sent as `X-Scope-OrgID`.")
    username: str | None = Field(default=None, description="User name for basic authentication.")
    password: SecretStr | None = Field(default=None, description="Password for basic authentication. A secret.")
    headers: Headers = Field(
        default_factory=dict, description="More headers of each request, `name=value`. The values are secrets."
    )
    compression: Compression = Field(default="gzip", description="Compression of request bodies.")
    timeout: float = Field(
        default=10.0, gt=0, allow_inf_nan=False, description="Longest time for one request, in seconds."
    )
    certificate: ExistingFile | None = Field(
        default=None, description="PEM file of the authorities to trust. Unset: those of the system."
    )

    def logs_url(self) -> str:
        """The full URL that records are posted to."""
        return _append(self.endpoint, "otlp/v1/logs")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.password and not self.username:
            raise broken_rule("password needs username", "password")
        return self


def _append(base: str, path: str) -> str:
    parts = urlsplit(base)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{path}").geturl()


def _grpc_target(endpoint: str, *, insecure: bool) -> tuple[str, bool]:
    """A channel's target and whether it uses TLS; a scheme goes before `insecure`, no scheme means TLS."""
    if endpoint.startswith(("dns:", "unix:")):
        return endpoint, not insecure
    parts = urlsplit(endpoint if "://" in endpoint else f"//{endpoint}")
    secure = parts.scheme == "https" if parts.scheme else not insecure
    port = parts.port or (443 if secure else 80)
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}", secure
