"""How much a request may ask for, for the graph and for clients that do without TensorFlow."""

MAX_K = 1000
"""Candidates in an answer."""
MAX_FEATURES = 29
"""Features that candidates can be filtered by: bits of an int32, beside the sign and two more."""
