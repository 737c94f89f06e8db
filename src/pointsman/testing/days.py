"""Every day of a model server under one roof: `days.Answer()`, `days.Reset()`, `days.rate_limited("7")`."""

from __future__ import annotations

from pointsman.testing.bad_days import (
    AcceptOnly,
    CloseAtOnce,
    CutAfter,
    EmptyBody,
    EndWithoutFinish,
    ErrorIn200,
    ExtraBytes,
    GarbageSse,
    Hang,
    InBandError,
    JsonForStream,
    NoFirstToken,
    Raw,
    Refuse,
    Reset,
    ShortBody,
    SlowHeaders,
    SplitUtf8,
    StallAfter,
    WrongContentType,
)
from pointsman.testing.bad_statuses import (
    Status,
    bad_gateway,
    bad_request,
    not_found,
    overloaded,
    queue_full,
    rate_limited,
    server_error,
    too_large,
    unauthorized,
    unprocessable,
)
from pointsman.testing.day import Answer, Day, Exchange, Paused

__all__ = [
    "AcceptOnly", "Answer", "CloseAtOnce", "CutAfter", "Day", "EmptyBody", "EndWithoutFinish", "ErrorIn200", "Exchange",
    "ExtraBytes", "GarbageSse", "Hang", "InBandError", "JsonForStream", "NoFirstToken", "Paused", "Raw", "Refuse", "Reset", "ShortBody",
    "SlowHeaders", "SplitUtf8", "StallAfter", "Status", "WrongContentType", "bad_gateway", "bad_request", "not_found",
    "overloaded", "queue_full", "rate_limited", "server_error", "too_large", "unauthorized", "unprocessable",
]  # fmt: skip
