"""The documents' systems as named settings, beside ours for the same data."""

from striate.recipes import birds, cifar, digits, fashion, smiles
from striate.recipes.recipe import RECIPES, Recipe

__all__ = ["RECIPES", "Recipe", "birds", "cifar", "digits", "fashion", "smiles"]
