"""What computes: one network, several ways to run it on this machine, and the race between them."""

from striate.deploy.engine.engine import ENGINES, Engine, UnfitError
from striate.deploy.engine.race import Race, Runner, choose_engine

__all__ = ["ENGINES", "Engine", "Race", "Runner", "UnfitError", "choose_engine"]
