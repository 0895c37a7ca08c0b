import numpy as np
import pytest

from tests.conformance.parts import embedded
from tfmmrec.models.candidate_fusions import FUSIONS, candidate_fusion
from tfmmrec.types import UsageError


@pytest.mark.parametrize("fusion", FUSIONS)
def test_each_fuses_an_id_and_features_of_other_sizes(fusion):
    parts = embedded()
    parts = {"id": {**parts["words"]}, "look": parts["look"], "price": parts["price"]}
    found = candidate_fusion(fusion, 4, [6], dropout=0.1, scale=0.1)(parts).numpy()
    assert found.shape[0] == 8 and np.isfinite(found).all()


def test_an_unknown_name():
    with pytest.raises(UsageError, match="got 'AttentionFusion'; did you mean attention?"):
        candidate_fusion("AttentionFusion", 4)
    with pytest.raises(UsageError, match="fusion must be one of early, late, hybrid.*, got 'middle'"):
        candidate_fusion("middle", 4)
