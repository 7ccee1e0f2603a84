"""Names for things that can be chosen: models, sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from striate.core.errors import SettingsError

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, capitals or not, or None where nothing is alike."""
    by_letters = {one.casefold(): one for one in known}
    matches = get_close_matches(name.casefold(), list(by_letters), n=1, cutoff=0.5)
    return by_letters[matches[0]] if matches else None


class Registry(Generic[T]):
    """One dictionary of named things; a duplicate is an error, an unknown name gets a suggestion.

    Args:
        kind: What the registry holds, for messages: 'model', 'data set'.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its argument under `name`; ValueError on a duplicate."""

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        """Return the entry; SettingsError with the nearest name where there is none."""
        self.require(name)
        return self._entries[name]

    def require(self, name: object, option: str = "", also: tuple[str, ...] = ()) -> None:
        """Refuse a name under which there is nothing: SettingsError with the nearest one.

        Args:
            name: What was given.
            option: Where, for the message: '--engine'.
            also: What else may be given.
        """
        known = sorted([*self._entries, *also])
        if isinstance(name, str) and name in known:
            return
        guess = nearest(name, known) if isinstance(name, str) else None
        hint = f"did you mean '{guess}'? " if guess else ""
        where = f"{option} {name}".strip()
        raise SettingsError(f"unknown {self.kind}", where=where, fix=f"{hint}Known: {', '.join(known)}")

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
