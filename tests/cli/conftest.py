"""What the tests of the command line share."""

from tests.graphs import _graphs_as_saved  # noqa: F401
