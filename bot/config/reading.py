"""Reads tables, secret files, and variables into checked values, and keeps all that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from bot.config.private import secret_in
from bot.config.rules import BYBIT, broken
from bot.config.sections import EDGE, FIELDS, SECTIONS, Config, Edge, is_secret, sources
from bot.core.settings import PROFILES, Settings, profile, why_not_value, why_wider, with_value

ACCOUNTS = ("venue", "deadman")
"""The sections that hold a key to the account; each program reads its own, never the other's."""

_NOT_IN_FILE = tuple(f"{section}.{name}" for section in ACCOUNTS for name in ("key", "secret"))


class Reading:
    """The values read so far, where each came from, and what was wrong."""

    def __init__(self, name: str, account: str = "venue") -> None:
        self.name = name
        self.account = account
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.problems: list[str] = []
        self._base: Settings | None = profile("moderate")
        self._failed: set[str] = set()

    def refuse(self, key: str, sentence: str) -> None:
        """Record a problem of a key."""
        self._failed |= {key} & FIELDS.keys()
        named = key if key.isprintable() else ascii(key)
        self.problems.append(f"{self.name}: {named}: {sentence}")

    def accept(self, key: str, value: Any, origin: str) -> None:
        """Record a value if its type and range fit."""
        hint, meta = FIELDS[key]
        why = _why_not(hint, value, hidden=is_secret(meta))
        if why:
            self.refuse(key, why)
        else:
            self.values[key] = msgspec.convert(value, hint)
            self.origins[key] = origin

    def take_file(self, tables: dict[str, Any]) -> None:
        """Read the profile first, since it is the base and the ceiling of all else."""
        if "profile" in tables:
            self._take_profile(tables["profile"])
        for key, value in _flat(tables):
            if key == "profile":
                continue
            if key not in FIELDS:
                self.refuse(key, no_such_key(key))
            elif key in _NOT_IN_FILE:
                variable, file = sources(FIELDS[key][1])
                where = f"the file of {file} (or {variable} for a simulated exchange)"
                self.refuse(key, f"expected in {where}, found it here")
            else:
                self.accept(key, value, self.name)
                self._refuse_wider(key)

    def _take_profile(self, name: object) -> None:
        if isinstance(name, str) and name in PROFILES:
            self._base = profile(name)
            self.origins |= dict.fromkeys(PROFILES[name], f"profile {name}")
            self.origins["profile"] = self.name
        else:
            self._base = None  # no ceilings to hold the rest against
            self.refuse("profile", f"expected {either(PROFILES)}, found {name!r}")

    def _refuse_wider(self, key: str) -> None:
        if key in self.values and key.partition(".")[0] not in EDGE and self._base:
            why = why_wider(self._base, key, self.values[key], FIELDS[key][1])
            if why:
                self.refuse(key, why)

    def take_venue_defaults(self) -> None:
        """Fill in Bybit's addresses where the environment is Bybit's and none is given."""
        env = self.values.get("venue.env", "embedded")
        given = {key for key in BYBIT.get(env, {}) if self.values.get(key) or key in self._failed}
        for key, url in BYBIT.get(env, {}).items():
            if key not in given:
                self.accept(key, url, f"default of venue.env {env}")

    def take_secrets(self, environ: Mapping[str, str]) -> None:
        """Read each secret from its file, then from the environment, which wins.

        A program without an account needs none, and may not be able to read any.
        """
        if not self.account:
            return
        for key, (hint, meta) in FIELDS.items():
            section = key.partition(".")[0]
            if not is_secret(meta) or section in {*ACCOUNTS} - {self.account}:
                continue
            variable, file_key = sources(meta)
            text, origin = environ.get(variable, "").strip(), f"environment {variable}"
            named = self.values.get(file_key, "")
            if not text and named:
                path = credential(named, environ)
                handed = path.parent == Path(environ.get("CREDENTIALS_DIRECTORY") or "/dev/null")
                text, why = secret_in(path, handed=handed)
                origin = f"file {path}"
                if why:
                    self.refuse(file_key, why)
            if text:
                many = get_origin(get_args(hint)[0]) is tuple
                self.accept(key, text.split() if many else text, origin)

    def build(self) -> Config:
        """Return the configuration of all values that fit."""
        settings = self._base or Settings()
        tables: dict[str, dict[str, Any]] = {}
        for key, value in self.values.items():
            section, _, name = key.partition(".")
            if section in EDGE:
                tables.setdefault(section, {})[name] = value
            else:
                settings = with_value(settings, key, value)
        edge = msgspec.convert(tables, Edge)
        return Config(settings=settings, **{name: getattr(edge, name) for name in EDGE})

    def check(self, config: Config) -> None:
        """Record each rule between values that does not hold, where its own keys are sound."""
        for sentence in broken(config, self.origins, self.account):
            if not any(key in sentence for key in self._failed):
                self.problems.append(f"{self.name}: {sentence}")


def _flat(tables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of each entry; an unknown section is one entry."""
    for name, value in tables.items():
        if name in SECTIONS and isinstance(value, dict):
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield name, value


def credential(name: str, environ: Mapping[str, str]) -> Path:
    """Return where a secret file is: a bare name may be a credential that systemd handed over."""
    handed = Path(environ.get("CREDENTIALS_DIRECTORY", ""), name)
    return handed if handed.is_file() else Path(name)


def no_such_key(key: str) -> str:
    """Return the sentence for a name that is not known, with the known one most like it."""
    if key in SECTIONS:
        return f"expected a section [{key}], found a single value"
    near = _nearest_section(key) if "." not in key else _nearest_in_section(key)
    if near is None:
        names = {known.rpartition(".")[2]: known for known in FIELDS}
        like = difflib.get_close_matches(key.rpartition(".")[2], names, 1, 0.7)
        near = names[like[0]] if like else difflib.get_close_matches(key, FIELDS, 1, 0)[0]
    return f"expected a known key, found no such name; the nearest is {near}"


def _nearest_section(name: str) -> str | None:
    like = difflib.get_close_matches(name, SECTIONS, 1, 0.7)
    return f"[{like[0]}]" if like else None


def _nearest_in_section(key: str) -> str | None:
    section, _, name = key.partition(".")
    home = [known.partition(".")[2] for known in FIELDS if known.startswith(f"{section}.")]
    like = difflib.get_close_matches(name, home, 1, 0.6)
    return f"{section}.{like[0]}" if like else None


def _why_not(hint: Any, value: Any, *, hidden: bool) -> str | None:
    """Tell why a value does not fit a key, or None; a hidden value is not repeated."""
    kind = get_args(hint)[0]
    if get_origin(kind) is Literal:
        fits, wanted = value in get_args(kind), either(get_args(kind))
    elif kind is str:
        fits, wanted = isinstance(value, str), "text"
    elif kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif get_origin(kind) is tuple:
        fits, wanted = _is_texts(value), "a list of texts"
    else:
        return why_not_value(hint, value)
    found = "another type (hidden)" if hidden else repr(value)
    return None if fits else f"expected {wanted}, found {found}"


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item for item in value)


def either(names: Iterable[str]) -> str:
    """Join choices for a sentence."""
    *some, last = names
    return f"{', '.join(some)}, or {last}"
