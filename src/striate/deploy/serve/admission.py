"""How much the server takes on at a time: pictures, and bytes of bodies that have arrived."""

from __future__ import annotations

from collections.abc import Callable

from striate.deploy.serve.answers import Refusal, busy


class Admission:
    """Counts what is being answered, and refuses more.

    Args:
        pictures: At most; also the most that one request may have.
        held: Bytes of bodies, at most.
        in_time: Says how many pictures can be answered in time: of a slow network fewer are taken on.
    """

    def __init__(self, pictures: int, held: int, in_time: Callable[[], float]) -> None:
        self.most_pictures, self.most_held, self._in_time = pictures, held, in_time
        self.pictures = self.held = 0

    @property
    def full(self) -> bool:
        """Whether not one picture more is taken on; where nothing is to be done, one always is."""
        return self.pictures > 0 and self.pictures >= min(self.most_pictures, self._in_time())

    def look(self, close: bool) -> None:
        """Refuse where not even one picture could be taken on: Refusal 503, which may close the connection."""
        if self.full:
            raise busy(close=close)

    def hold(self, size: int) -> None:
        """Take bytes of a body; Refusal 503, the body unread, where they are too many at a time."""
        if self.held + size > self.most_held:
            raise busy("too many bytes are being received", close=True)
        self.held += size

    def let_go(self, size: int) -> None:
        """Give bytes back."""
        self.held -= size

    def enter(self, pictures: int) -> None:
        """Take pictures on.

        Raises:
            Refusal: 413, more than could ever be taken, or 503, more than can be now.
        """
        if pictures > self.most_pictures:
            raise Refusal(
                413, "too_many_pictures", f"{pictures} pictures; at most {self.most_pictures} at a time", "send fewer"
            )
        if self.full or self.pictures + pictures > self.most_pictures:
            raise busy()
        self.pictures += pictures

    def leave(self, pictures: int) -> None:
        """Note that so many are answered."""
        self.pictures -= pictures
