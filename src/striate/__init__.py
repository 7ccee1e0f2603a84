"""Striate trains, explains and ships convolutional image classifiers."""
