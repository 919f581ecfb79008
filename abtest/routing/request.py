"""A request as the load balancer's rules see it. A field that is None is unknown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self
from urllib.parse import urlsplit

__all__ = ["Request", "RequestError"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_TOKEN = re.compile(r"[0-9A-Za-z!#$%&'*+.^_`|~-]+")
_URL_PARTS = ("host", "path", "query")
_KEYS = ("method", "url", "host", "path", "query", "headers", "sourceIp")


class RequestError(ValueError):
    """No request looks like this; the text says which field, which value and what is expected."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What rules can ask for.

    ``query`` is raw, without "?"; "" is a request without one. ``headers`` maps lower-case names to the values of each
    field line; a name that is missing there is not sent. ``scheme`` is that of its URL; no rule looks at it.
    """

    method: str | None = None
    host: str | None = None
    path: str | None = None
    query: str | None = None
    headers: Mapping[str, tuple[str, ...]] | None = None
    source_ip: Address | None = None
    scheme: Literal["http", "https"] | None = None

    @property
    def target(self) -> str:
        """Path and query as a request line has them; of a request whose path is known."""
        return f"{self.path}?{self.query}" if self.query else str(self.path)

    @classmethod
    def parse(cls, given: object) -> Self:
        """Read ``{"method", "url", "headers": {name: value | [values]}, "sourceIp"}``, or "host", "path" and "query" in
        place of "url". Raises RequestError.
        """
        if not isinstance(given, Mapping):
            raise RequestError(f"expected a JSON object, got {given!r}")
        unknown = sorted(set(given) - set(_KEYS))
        if unknown:
            raise RequestError(f"there is no field {unknown[0]}; known: {', '.join(_KEYS)}")
        url = _text(given, "url")
        if url is not None and any(given.get(key) is not None for key in _URL_PARTS):
            raise RequestError("url cannot be combined with host, path or query; give one of them")
        scheme, parts = _of_url(url) if url is not None else (None, {k: _text(given, k) for k in _URL_PARTS})
        return cls(
            method=_method(_text(given, "method")),
            host=_host(parts["host"]),
            path=_path(parts["path"]),
            query=_query(parts["query"]),
            headers=_headers(given.get("headers")),
            source_ip=_address(_text(given, "sourceIp")),
            scheme=scheme,
        )


def _text(given: Mapping[str, Any], key: str) -> str | None:
    value = given.get(key)
    if value is not None and not isinstance(value, str):
        raise RequestError(f"{key}: expected text, got {value!r}")
    return value


def _of_url(url: str) -> tuple[Literal["http", "https"], dict[str, str | None]]:
    try:
        split = urlsplit(url)
    except ValueError as error:
        raise RequestError(f"url: {url!r} cannot be read: {error}") from None
    if split.scheme not in {"http", "https"} or not split.netloc:
        raise RequestError(
            f"url: {url!r} is not an http or https address; write one such as https://example.com/predict"
        )
    parts: dict[str, str | None] = {
        "host": split.netloc.rpartition("@")[2],
        "path": split.path or "/",
        "query": split.query,
    }
    return "https" if split.scheme == "https" else "http", parts


def _method(method: str | None) -> str | None:
    if method is not None and not _TOKEN.fullmatch(method):
        raise RequestError(f"method: {method!r} is not a valid request method")
    return method


def _host(host: str | None) -> str | None:
    if host is not None and (not host or re.search(r"[\s/?#@]", host)):
        raise RequestError(f"host: {host!r} is not a valid host name")
    return host


def _path(path: str | None) -> str | None:
    if path is not None and (not path.startswith("/") or re.search(r"[\s?#]", path)):
        raise RequestError(f'path: {path!r} must start with "/" and hold no "?", "#" or space')
    return path


def _query(query: str | None) -> str | None:
    if query is not None and re.search(r"[\s#]", query):
        raise RequestError(f'query: {query!r} must hold no "#" or space')
    return None if query is None else query.removeprefix("?")


def _headers(headers: object) -> Mapping[str, tuple[str, ...]] | None:
    if headers is None:
        return None
    if not isinstance(headers, Mapping):
        raise RequestError(f"headers: expected an object, got {headers!r}")
    found: dict[str, tuple[str, ...]] = {}
    for name, given in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise RequestError(f"headers: {name!r} is not a valid header name")
        values: Iterable[object] = given if isinstance(given, list) else [given]
        for value in values:
            if not isinstance(value, str) or re.search(r"[\r\n\0]", value):
                raise RequestError(f"headers.{name}: expected text on one line, got {value!r}")
            found[name.lower()] = (*found.get(name.lower(), ()), value)
    return found


def _address(text: str | None) -> Address | None:
    if text is None:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise RequestError(f"sourceIp: {text!r} is not a valid IP address") from None
