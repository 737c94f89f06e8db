"""What one value of the file may look like: durations, sizes, secrets, names; with words for when it does not."""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from pointsman.config import units
from pointsman.config.secrets import BadReference, Secrets
from pointsman.core.schedule import NotHours, parse_hours


def read_duration(value: object) -> float:
    try:
        return units.parse_duration(value)
    except units.NotAQuantity as exc:
        raise PydanticCustomError("quantity", "{why}", {"why": str(exc)}) from exc


def read_size(value: object) -> int:
    try:
        return units.parse_size(value)
    except units.NotAQuantity as exc:
        raise PydanticCustomError("quantity", "{why}", {"why": str(exc)}) from exc


def read_secret(value: object, info: ValidationInfo) -> SecretStr:
    secrets: Secrets = (info.context or {})["secrets"]
    try:
        return SecretStr(secrets.resolve(value))
    except BadReference as exc:
        raise PydanticCustomError("secret", "{why}", {"why": str(exc)}) from exc


def read_hours(value: str) -> str:
    try:
        parse_hours(value)
    except NotHours as exc:
        raise PydanticCustomError("hours", "{why}", {"why": str(exc)}) from exc
    return value


def read_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise PydanticCustomError("timezone", "{why}", {"why": f"{value!r} is no time zone; write one such as Europe/Berlin"}) from exc
    return value


def one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def on_or_off(value: Any) -> Any:
    """YAML 1.1 reads a bare `on` as true."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


DAY = 86_400.0
Duration = Annotated[float, BeforeValidator(read_duration), Field(gt=0, le=DAY)]
Pause = Annotated[float, BeforeValidator(read_duration), Field(ge=0, le=DAY)]
"""A duration that may be none."""
Window = Annotated[float, BeforeValidator(read_duration), Field(ge=15, le=3600)]
"""A duration that a percentile is taken over."""
Size = Annotated[int, BeforeValidator(read_size), Field(ge=1024, le=1024**3)]
Secret = Annotated[SecretStr, BeforeValidator(read_secret)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""Names of tiers, pools, routes and providers stand in labels, headers and `a/b` model names."""
ModelName = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,254}[!-~])?$")]
Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Words = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], BeforeValidator(one_or_more)]
Port = Annotated[int, Field(ge=0, le=65535)]
