"""The arithmetic of convolutional networks in plain NumPy, to be read and to check the libraries against."""

from striate.convolution.convolve import convolve, cross_correlate
from striate.convolution.fractional import fractional_max_pool
from striate.convolution.layer import feature_maps
from striate.convolution.pooling import average_pool, global_average_pool, max_pool
from striate.convolution.size import output_shape, output_size, receptive_field

__all__ = [
    "average_pool",
    "convolve",
    "cross_correlate",
    "feature_maps",
    "fractional_max_pool",
    "global_average_pool",
    "max_pool",
    "output_shape",
    "output_size",
    "receptive_field",
]
