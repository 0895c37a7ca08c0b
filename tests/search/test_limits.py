from tfmmrec.search import filter_columns, filters, limits


def test_the_graph_s_bits_fit_an_int32():
    assert (1 << (limits.MAX_FEATURES + 1)) < 2**31 <= (1 << (limits.MAX_FEATURES + 2))


def test_the_graph_has_the_same_limits():
    assert (filters.MAX_K, filter_columns.MAX_FEATURES) == (limits.MAX_K, limits.MAX_FEATURES)
