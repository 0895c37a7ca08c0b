import pytest

from tfmmrec.pretraining.objective import Objective


def test_an_objective_has_a_loss_of_its_own():
    objective = Objective({})
    assert objective.head == []
    with pytest.raises(NotImplementedError, match="Objective has no loss"):
        objective.loss({}, None)
    with pytest.raises(NotImplementedError, match="Objective does not say what guessing costs"):
        objective.chance(2)
