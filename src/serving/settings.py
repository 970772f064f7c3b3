"""Settings of the service: flags, then environment ``SPYMASTER_*``, then ``[serve]`` of a TOML file.

    SPYMASTER_MAX_CLIENTS=1000 spymaster serve
    SPYMASTER_CONFIG=desk.toml spymaster serve      # [serve] max_clients = 1000

Every limit of the service is a field here.
"""

from __future__ import annotations

import difflib
import json
import os
import ssl
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from data_eng.errors import UsageError
from data_eng.units import HUD_HISTORY_WINDOWS

CONFIG_VARIABLE: Final = "SPYMASTER_CONFIG"
CONFIG_TABLE: Final = "serve"
ENV_PREFIX: Final = "SPYMASTER_"


class Settings(BaseSettings):
    """What `spymaster serve` runs with."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    lake: Path = Path("lake")
    symbol: str | None = None
    """contract served by default; None: the one with a picture on `dt`, or the first"""
    dt: str | None = None
    """date served by default; None: the latest with a picture"""
    host: str = "127.0.0.1"
    port: int = Field(8765, ge=0, le=65535)
    clock: Literal["private", "shared"] = "private"
    """clock of a connection that names none"""
    shared_speed: float = Field(1.0, ge=0.1, le=1000.0)

    expose: bool = False
    """answer on an address that is not loopback; refused without TLS or proxy, tokens and origins"""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: str | None = None
    """address of the proxy that ends TLS; connections from elsewhere are refused"""
    token_file: Path | None = None
    """one token per line"""
    origin: Annotated[tuple[str, ...], NoDecode] = ()
    """pages, besides our own, that may open the stream: scheme://host[:port]; in a variable with commas"""

    max_clients: int = Field(64, ge=1)
    max_clients_per_address: int = Field(64, ge=1)
    max_requests: int = Field(16, ge=1)
    """HTTP answers in the making, and large ones on their way, at a time"""
    max_connections: int = Field(512, ge=1)
    """open connections of all kinds"""
    command_bytes: int = Field(4096, ge=128)
    commands_per_s: int = Field(20, ge=1)
    query_bytes: int = Field(2048, ge=128)
    mailbox_windows: int = Field(2, ge=1)
    slow_client_s: float = Field(5.0, gt=0)
    heartbeat_s: float = Field(4.0, gt=0, le=5.0)
    ping_s: float = Field(20.0, gt=0)
    """a connection is pinged this often, and cut when it does not answer within as much"""
    request_s: float = Field(10.0, gt=0)
    """within this a connection has to send a whole request head"""
    answer_s: float = Field(60.0, gt=0)
    """within this an HTTP answer has to be taken"""
    linger_s: float = Field(10.0, gt=0)
    """how long a closed connection may still take what was sent to it"""
    stop_s: float = Field(3.0, gt=0)
    """how long clients are waited for when the service stops"""
    send_buffer_bytes: int = Field(128 << 10, ge=4096)
    ring_windows: int = Field(HUD_HISTORY_WINDOWS, ge=1)

    hud_range_windows: int = Field(1800, ge=1)
    wide_range_windows: int = Field(120, ge=1)
    range_windows: int = Field(3600, ge=1)
    loaded_days: int = Field(2, ge=1)
    block_cache_bytes: int = Field(256 << 20, ge=1 << 20)
    message_cache_bytes: int = Field(64 << 20, ge=1 << 20)
    answer_cache_bytes: int = Field(64 << 20, ge=1)
    """HTTP answers that are kept, compressed as they were sent"""

    @field_validator("origin", mode="before")
    @classmethod
    def _list(cls, value: Any) -> Any:
        return [part.strip() for part in value.split(",")] if isinstance(value, str) else value

    @field_validator("origin")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or set(rest) & set("/*?#@ "):
                raise ValueError("be the origin of a page, for example https://hud.example.org")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[Any, ...]:
        """Flags over environment over file."""
        return init_settings, env_settings, _from_file

    @property
    def is_https(self) -> bool:
        """Whether browsers reach our page by https: TLS is ours, or the proxy's."""
        return self.tls_cert is not None or self.behind_proxy is not None

    @property
    def is_loopback(self) -> bool:
        """Whether the address only reaches this machine."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def range_limit(self, surface: str) -> int:
        """Windows that one request for a surface may span."""
        if surface == "hud":
            return self.hud_range_windows
        return self.wide_range_windows if surface in ("wall", "vacuum") else self.range_windows

    def tokens(self) -> tuple[str, ...]:
        """Tokens of the token file. Raises `UsageError` when it holds none, or a short one."""
        if self.token_file is None:
            return ()
        try:
            lines = self.token_file.read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--token-file {self.token_file} cannot be read: {error}") from None
        if not lines or min(len(line) for line in lines) < MIN_TOKEN:
            raise UsageError(
                f"--token-file {self.token_file} has to hold tokens of at least {MIN_TOKEN} characters, one a"
                " line; make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return tuple(lines)

    def require_safe(self) -> None:
        """Raises `UsageError` when the service would be reachable from elsewhere without its conditions.

        Also when the certificate and its key cannot be used: a server that starts has them.
        """
        if bool(self.tls_cert) != bool(self.tls_key):
            raise UsageError("--tls-cert and --tls-key belong together; give both")
        if self.expose:
            self._require_conditions()
        elif not self.is_loopback:
            raise UsageError(
                f"--host {self.host} is reachable from other machines; use 127.0.0.1, or --expose with"
                " TLS, --token-file and --origin"
            )
        if self.tls_cert is not None and self.tls_key is not None:
            self._require_tls(self.tls_cert, self.tls_key)

    def _require_conditions(self) -> None:
        missing = []
        if not (self.tls_cert or self.behind_proxy):
            missing.append("--tls-cert and --tls-key, or --behind-proxy ADDRESS")
        if self.token_file is None:
            missing.append("--token-file FILE")
        if not self.origin:
            missing.append("--origin https://...")
        if missing:
            raise UsageError(f"--expose needs {'; '.join(missing)}; without them serve on loopback")
        self.tokens()

    def _require_tls(self, cert: Path, key: Path) -> None:
        try:
            # an encrypted key would ask for its password on the terminal
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=lambda: b"")
        except OSError as error:  # ssl.SSLError is one
            missing = next((path for path in (cert, key) if not path.is_file()), None)
            found = f"{missing} is no file" if missing else error.strerror or str(error)
            raise UsageError(
                f"--tls-cert {cert} and --tls-key {key} cannot be used: {found}; name a certificate chain and"
                " its private key without a password, both PEM"
            ) from None


MIN_TOKEN: Final = 16


def load_settings(**flags: Any) -> Settings:
    """Settings with the given flags; those that are None count as not given. Raises `UsageError`."""
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise UsageError(_refused(error.errors()[0], given)) from None


def _refused(error: Any, flags: dict[str, Any]) -> str:
    """One sentence for the first thing that is wrong: where, what was found, what is wanted, the cure."""
    name = str(error["loc"][0])
    variable = f"{ENV_PREFIX}{name}".upper()
    if name in flags:
        place = f"--{name.replace('_', '-')}"
    elif variable in {key.upper() for key in os.environ}:
        place = variable
    else:
        place = f"{name} in [{CONFIG_TABLE}] of {os.environ.get(CONFIG_VARIABLE)}"
    known = Settings.model_fields
    if error["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, known, n=1)
        cure = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        return f"there is no setting {place}; {cure}"
    wanted = error["msg"].removeprefix("Value error, ").removeprefix("Input should ")
    found = json.dumps(error["input"], default=str)
    default = known[name].default
    without = "" if default in (None, ()) else f" for {json.dumps(default, default=str)}"
    return f"{place} is {found}, it should {wanted}; change it, or leave it out{without}"


def _from_file() -> dict[str, Any]:
    path = os.environ.get(CONFIG_VARIABLE)
    if path is None:
        return {}
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{CONFIG_VARIABLE}={path} cannot be read as TOML: {error}") from None
    table = document.get(CONFIG_TABLE, {})
    if not isinstance(table, dict):
        raise UsageError(f"{CONFIG_VARIABLE}={path}: {CONFIG_TABLE} is no table")
    return table
