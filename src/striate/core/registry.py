"""Names for things that can be chosen: models, sources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from striate.core.errors import SettingsError

T = TypeVar("T")


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None where nothing is alike."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None


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
        if name not in self._entries:
            guess = nearest(name, self._entries)
            hint = f"did you mean '{guess}'? " if guess else ""
            raise SettingsError(
                f"unknown {self.kind}", where=name, fix=f"{hint}Known: {', '.join(sorted(self._entries))}"
            )
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        return len(self._entries)
