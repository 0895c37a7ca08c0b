"""Curves from history.csv, whatever is missing in it."""

from __future__ import annotations

from tfmmrec.report.learning_curves import learning_curves, read_history

HISTORY = """\
phase,epoch,seconds,loss,val_recall@20,val_ndcg@20,val_map@20
select,1,1.0,20.0,0.1,0.2,0.01
select,2,1.0,2.0,0.3,,nan
refit,1,1.0,19.0,,,
"""


def written(tmp_path, text=HISTORY):
    path = tmp_path / "history.csv"
    path.write_text(text)
    return path


def test_cells_without_a_number_are_left_out(tmp_path):
    history = read_history(written(tmp_path))
    assert history["select"]["loss"] == ([1, 2], [20.0, 2.0])
    assert history["select"]["val_ndcg@20"] == ([1], [0.2])
    assert history["select"]["val_map@20"] == ([1], [0.01])
    assert history["refit"].keys() == {"seconds", "loss"}


def test_loss_and_validation_are_plotted_and_told(tmp_path):
    loss, validation = learning_curves(read_history(written(tmp_path)), chosen_epoch=2)
    assert "choosing the epoch from 20 in epoch 1 to 2 in epoch 2" in loss
    assert "refit on all of train from 19 in epoch 1" in loss
    assert "NDCG@20 from 0.2 in epoch 1" in validation and "Recall@20" in validation and "MAP" not in validation
    assert "Epoch 2 was chosen." in validation


def test_another_monitor_comes_first(tmp_path):
    validation = learning_curves(read_history(written(tmp_path)), monitor="val_map@20")[1]
    assert "MAP@20" in validation


def test_no_history_no_plots(tmp_path):
    assert read_history(tmp_path / "nothing.csv") == {}
    assert learning_curves({}) == []
    assert learning_curves(read_history(written(tmp_path, "phase,epoch\nselect,1\n"))) == []


def test_losses_below_zero_are_plotted(tmp_path):
    assert len(learning_curves(read_history(written(tmp_path, "phase,epoch,loss\nselect,1,-1\nselect,2,-9\n")))) == 1
