import json
from types import SimpleNamespace

from tests.test_sharded_tables import in_parts
from tfmmrec.parameter_servers.placement import held_by_servers, write_placement


def variable(name, task, shape):
    device = f"/job:ps/replica:0/task:{task}/device:CPU:0" if task is not None else "/job:chief/replica:0/task:0"
    return SimpleNamespace(name=name, device=device, shape=SimpleNamespace(as_list=lambda: shape))


def test_what_each_server_holds(tmp_path):
    own = [variable("bias:0", 0, [2]), variable("bias:0", 0, [3]), variable("count:0", None, [])]
    model = SimpleNamespace(
        variables=own, optimizer=SimpleNamespace(variables=[own[0], variable("m/part_1:0", 1, [4, 2])])
    )
    expected = {"server 0": {"bias:0": [2], "bias:0 (1)": [3]}, "server 1": {"m/part_1:0": [4, 2]}}
    expected["chief"] = {"count:0": []}
    assert held_by_servers(model) == expected
    write_placement(model, tmp_path)
    assert json.loads((tmp_path / "servers.json").read_text()) == expected


def test_a_table_in_parts_is_its_parts():
    model = SimpleNamespace(variables=[in_parts()], optimizer=SimpleNamespace(variables=[]))
    assert sorted(held_by_servers(model)["chief"].values()) == [[3, 2], [4, 2]]
