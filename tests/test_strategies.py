import json

import pytest
import tensorflow as tf

from tfmmrec import strategies
from tfmmrec.strategies import is_helper, make_strategy, uses_servers
from tfmmrec.types import UsageError


@pytest.fixture
def gpus(monkeypatch):
    """`gpus(n)`: makes it look as if there were n GPUs; a mirrored strategy is not really built over them."""
    built = []
    monkeypatch.setattr(strategies, "_mirrored_over", strategies._mirrored_over.__wrapped__)

    def pretend(number):
        devices = [tf.config.LogicalDevice(f"/device:GPU:{index}", "GPU") for index in range(number)]
        real = tf.config.list_logical_devices
        monkeypatch.setattr(
            tf.config, "list_logical_devices", lambda kind=None: devices if kind == "GPU" else real(kind)
        )
        monkeypatch.setattr(tf.distribute, "MirroredStrategy", lambda devices=None: built.append(devices) or "mirrored")
        return built

    return pretend


def test_cpu_is_one_device():
    strategy = make_strategy("cpu")
    assert strategy.num_replicas_in_sync == 1
    assert strategy.extended.worker_devices[0].endswith("CPU:0")


def test_mirrored_takes_all_logical_cpus_without_gpus(replicas):
    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == 4
    assert [device[-5:] for device in strategy.extended.worker_devices] == ["CPU:0", "CPU:1", "CPU:2", "CPU:3"]


def test_a_second_training_in_a_process_gets_the_same_mirrored_strategy(replicas):
    replicas(2)  # splits the CPU
    assert make_strategy("mirrored") is make_strategy("mirrored")


@pytest.mark.parametrize("number", [0, 1])
def test_auto_is_the_default_device_without_two_gpus(gpus, number):
    built = gpus(number)
    assert make_strategy("auto") is tf.distribute.get_strategy()
    assert make_strategy() is tf.distribute.get_strategy()
    assert built == []


def test_with_two_gpus_auto_is_mirrored(gpus):
    built = gpus(2)
    assert make_strategy("auto") == "mirrored" and built == [["/device:GPU:0", "/device:GPU:1"]]


@pytest.mark.parametrize("number", [1, 2])
def test_mirrored_takes_the_gpus_where_there_are_some(gpus, number):
    built = gpus(number)
    make_strategy("mirrored")
    assert built == [[f"/device:GPU:{index}" for index in range(number)]]


def test_an_unknown_name_is_refused():
    with pytest.raises(UsageError, match="strategy must be auto, cpu, .*parameter_server or tpu, got 'everywhere'"):
        make_strategy("everywhere")


def test_workers_need_a_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UsageError, match="strategy multiworker needs to know its cluster: set TF_CONFIG"):
        make_strategy("multiworker")


@pytest.mark.parametrize("name", ["auto", "multiworker"])
def test_workers_come_first_of_all(monkeypatch, name):
    """`auto` takes them where TF_CONFIG names some; in this process TensorFlow has computed something before."""
    tf.constant(1.0)
    cluster = '{"cluster": {"worker": ["127.0.0.1:1", "127.0.0.1:2"]}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", cluster)
    monkeypatch.setattr(strategies, "wait_for_workers", lambda cluster: None)  # for the other one
    with pytest.raises(UsageError, match="must be made before TensorFlow has computed anything in this process"):
        make_strategy(name)
    assert make_strategy("cpu").num_replicas_in_sync == 1


def test_a_tpu_that_is_not_there(monkeypatch):
    monkeypatch.delenv("TPU_NAME", raising=False)
    with pytest.raises(UsageError, match="strategy tpu found no TPU on this machine: start it on a TPU VM"):
        make_strategy("tpu")
    monkeypatch.setenv("TPU_NAME", "elsewhere")
    with pytest.raises(UsageError, match="on the TPU of the machine it runs on, .* TPU_NAME is 'elsewhere'"):
        make_strategy("tpu")


def test_other_strategies_are_on_no_tpu():
    assert not strategies.on_tpu(make_strategy("cpu"))


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("chief", "parameter_server", False),
        ("worker", "parameter_server", True),
        ("ps", "auto", True),
        ("ps", "cpu", False),
    ],
)
def test_who_helps_a_chief(monkeypatch, kind, name, expected):
    jobs = {"chief": ["a:1"], "worker": ["b:2"], "ps": ["c:3"]}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": {"type": kind, "index": 0}}))
    assert is_helper(name) == expected and uses_servers(name) == (name != "cpu")


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"chief": []}, "1 of type worker, 1 of type ps"),
        ({"worker": []}, "1 of type chief, 1 of type ps"),
        ({"ps": []}, "1 of type chief, 1 of type worker"),
        ({"chief": ["a:1", "b:1"]}, "2 of type chief, 1 of type worker, 1 of type ps"),
        ({"evaluator": ["e:1"]}, "1 of type ps, 1 of type evaluator"),
    ],
)
def test_parameter_servers_need_a_whole_cluster(monkeypatch, other, found):
    jobs = {job: [f"{job}:1"] for job in ("chief", "worker", "ps")} | other
    task = {"type": next(job for job, listed in jobs.items() if listed), "index": 0}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": task}))
    told = f"strategy parameter_server needs to know its cluster: set TF_CONFIG with one .*; got .*{found}"
    with pytest.raises(UsageError, match=told):
        make_strategy("parameter_server")
