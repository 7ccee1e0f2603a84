"""Style transfer: one picture's content in another's style (Gatys, Ecker and Bethge 2015, 2016).

The room itself can be called: `striate.style("photo.jpg", "painting.jpg")` is `transfer.style`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from striate.style.pictures import Source
    from striate.style.transfer import StyleResult


class _Room(ModuleType):
    """A package that can be called: function and room have one name, whichever was imported first."""

    def __call__(self, content: Source, style: Source, **settings: Any) -> StyleResult:
        """Return the content in the style, as `transfer.style` does."""
        from striate.style.transfer import style as transferred  # torch waits until it is needed

        return transferred(content, style, **settings)


sys.modules[__name__].__class__ = _Room
