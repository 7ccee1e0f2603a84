"""The embedding: where pictures lie in what the last layer sees."""

from striate.explain.embedding.chapter import embedding_chapter
from striate.explain.embedding.drawn import Map, pictures_map, points_map
from striate.explain.embedding.hidden import hidden_values, label_groups
from striate.explain.embedding.neighbours import Neighbours, nearest, nearest_others
from striate.explain.embedding.projection import principal_components, t_sne, umap
from striate.explain.embedding.separation import Separation, knn_accuracy, separation, silhouettes
from striate.explain.embedding.style import styles

__all__ = [
    "Map",
    "Neighbours",
    "Separation",
    "embedding_chapter",
    "hidden_values",
    "knn_accuracy",
    "label_groups",
    "nearest",
    "nearest_others",
    "pictures_map",
    "points_map",
    "principal_components",
    "separation",
    "silhouettes",
    "styles",
    "t_sne",
    "umap",
]
