import numpy as np

from tfmmrec.fusion import OneHead


def test_the_last_number_of_a_candidate_is_its_bias():
    random = np.random.default_rng(0)
    queries, candidates, biases = random.normal(size=(3, 4)), random.normal(size=(5, 4)), random.normal(size=5)
    scores = OneHead()(queries.astype(np.float32)).numpy() @ np.column_stack([candidates, biases]).T
    np.testing.assert_allclose(scores, queries @ candidates.T + biases, rtol=1e-5)
