"""Makes the pictures of README and docs from real data: python docs/figures.py (needs STRIATE_DATA)."""

from __future__ import annotations

from pathlib import Path

from striate.core.settings import TrainSettings
from striate.data.sources import SOURCES, open_data
from striate.explain.drawing import save_figure
from striate.explain.sheet import contact_sheet

IMAGES = Path(__file__).parent / "images"
MOVED = {"rotate": 10, "zoom": 0.1, "shift": 2, "flip": True, "brightness": 0.2, "erase": 0.3}


def main() -> None:
    """Draw the contact sheet of Fashion-MNIST, where it is on this machine."""
    if SOURCES["fashion-mnist"].find(None) is None:
        raise SystemExit("fashion-mnist is not here: set STRIATE_DATA")
    settings = TrainSettings.parse(MOVED)
    save_figure(contact_sheet(open_data("fashion-mnist", settings, 0), settings), IMAGES / "fashion-mnist-sheet.png")


if __name__ == "__main__":
    main()
