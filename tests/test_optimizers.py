import numpy as np
import pytest
import tensorflow as tf

from tests.choices import learn
from tests.conformance.models import ModelCase, ready
from tests.encoders.reusable import write_image_model
from tfmmrec.encoders import SavedModelEncoder
from tfmmrec.optimizers import check_encoder_options, make_optimizer
from tfmmrec.training_options import TrainingOptions
from tfmmrec.types import UsageError


@pytest.fixture(scope="module")
def handle(tmp_path_factory):
    """Kernel and bias as two layers, the kernel first."""
    folder = tmp_path_factory.mktemp("data")
    module = tf.saved_model.load(write_image_model(folder / "plain"))
    module.layers = [[module.variables[0]], [module.variables[1]]]
    tf.saved_model.save(module, str(folder / "encoder"))
    return str(folder / "encoder")


def made(handle, **options):
    case = ModelCase("finetuned", "two_tower", {"pretrained": {"photo": handle}, "pretrained_mode": "finetuned"})
    model = case.build()
    return model, make_optimizer(model, TrainingOptions(**options), steps_per_epoch=10)


def test_layers_of_a_saved_model(handle, tmp_path):
    encoder = SavedModelEncoder(handle, "image", mode="finetuned")
    assert [[variable.shape.rank for variable in layer] for layer in encoder.layers] == [[2], [1]]
    plain = SavedModelEncoder(write_image_model(tmp_path / "plain"), "image", mode="finetuned")
    assert [len(layer) for layer in plain.layers] == [2]


def test_layers_of_keras_are_one(tmp_path):
    inputs = tf.keras.Input([None, None, 3])
    pooled = tf.keras.layers.GlobalAveragePooling2D()(tf.keras.layers.Conv2D(2, 1)(inputs))
    tf.keras.Model(inputs, pooled).save(tmp_path / "keras", save_format="tf")
    encoder = SavedModelEncoder(str(tmp_path / "keras"), "image", mode="finetuned", height=4, width=4)
    assert [len(layer) for layer in encoder.layers] == [2]


def test_finetuned_pretrained_encoders_have_rates_of_their_own(handle):
    options = {"learning_rate": 0.01, "encoder_learning_rate": 0.001, "encoder_layer_decay": 0.5, "unfreeze_every": 2}
    model, optimizer = made(handle, **options)
    rates = {}
    for variable in model.trainable_variables:
        with optimizer._at_rate_of(optimizer._layer_of.get(optimizer._var_key(variable))):
            rates[variable.ref()] = float(optimizer.learning_rate)
    kernel, bias = (layer[0] for layer in model.candidate_tower.encoders["photo"].layers)
    assert rates.pop(bias.ref()) == pytest.approx(0.001)
    assert rates.pop(kernel.ref()) == 0.0  # its turn comes after two epochs
    np.testing.assert_allclose(list(rates.values()), 0.01, rtol=1e-6)
    optimizer.iterations.assign(20)
    with optimizer._at_rate_of(optimizer._layer_of[optimizer._var_key(kernel)]):
        assert float(optimizer.learning_rate) == pytest.approx(0.0005)


def test_only_the_last_layers_are_trained(handle):
    case = ModelCase("finetuned", "two_tower", {"pretrained": {"photo": handle}, "pretrained_mode": "finetuned"})
    found = ready(case, optimizer=tf.keras.optimizers.Adam)
    layers = found.model.candidate_tower.encoders["photo"].layers
    before = [layer[0].numpy() for layer in layers]
    options = TrainingOptions(encoder_learning_rate=0.01, encoder_layers=1, weight_decay=0.1)
    found.model.compile(optimizer=make_optimizer(found.model, options, 1))
    found.fit(3)
    np.testing.assert_array_equal(layers[0][0], before[0])
    assert np.abs(layers[1][0].numpy() - before[1]).max() > 1e-3


def test_under_mixed_precision_layers_have_their_rates(handle):
    """Adam's first step moves a weight by its rate, or by less where its gradient is next to nothing."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        own = {"pretrained": {"photo": handle}, "pretrained_mode": "finetuned", "feature_dim": 4}
        found = ready(ModelCase("finetuned", "two_tower", own), optimizer=tf.keras.optimizers.Adam)
        options = {"encoder_learning_rate": 0.004, "encoder_layer_decay": 0.5, "learning_rate": 0.02}
        found.model.compile(optimizer=make_optimizer(found.model, TrainingOptions(**options), 1))
        kernel, bias = (layer[0] for layer in found.model.candidate_tower.encoders["photo"].layers)
        other = found.model.candidate_tower.fusion.output_layer.bias
        starts = [variable.numpy() for variable in (kernel, bias, other)]
        found.fit(1)
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
    assert isinstance(found.model.optimizer, tf.keras.mixed_precision.LossScaleOptimizer)
    for variable, start, rate in zip((kernel, bias, other), starts, (0.002, 0.004, 0.02), strict=True):
        np.testing.assert_allclose(np.abs(variable.numpy() - start).max(), rate, rtol=0.05)


def test_rates_follow_the_step():
    _, optimizer = made_plain(learning_rate=0.1, decay_steps=10, warmup_steps=5)
    rates = []
    for step in (0, 4, 10):
        optimizer.iterations.assign(step)
        optimizer._compute_current_learning_rate()
        rates.append(float(optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.02, 0.1 / 1.4, 0.05], rtol=1e-5)


def test_a_lazy_one_leaves_rows_that_the_batch_does_not_have():
    """In a training step as it is, with what clips and decays."""
    found = ready(ModelCase("lazy", "id_only", {"loss": "sampled_softmax"}), batch_size=4)
    moved = {}
    for name in ("adam", "lazy_adam"):
        options = TrainingOptions(optimizer=name, weight_decay=0.1, clip_norm=1.0, learning_rate=0.01)
        found.model.compile(optimizer=make_optimizer(found.model, options, 1))
        found.fit(1)
        before = found.model.candidate_tower.encoders["id"].embeddings.numpy()
        found.fit(1)
        moved[name] = (found.model.candidate_tower.encoders["id"].embeddings.numpy() != before).any(axis=1)
    in_batch = found.stream.batch(0)["candidate"]["id"]["row"]
    assert set(np.flatnonzero(moved["lazy_adam"])) <= set(in_batch) and moved["lazy_adam"].any()
    assert moved["adam"].all()


def test_biases_and_norms_do_not_decay():
    _, optimizer = made_plain(weight_decay=0.1)
    names = ("dense/kernel", "dense/bias", "norm/gamma", "norm/beta")
    decays = {name: optimizer._use_weight_decay(tf.Variable(1.0, name=name)) for name in names}
    assert decays == {"dense/kernel": True, "dense/bias": False, "norm/gamma": False, "norm/beta": False}


def made_plain(**options):
    model = ModelCase("plain", "id_only", {}).build()
    return model, make_optimizer(model, TrainingOptions(**options), steps_per_epoch=10)


def test_a_training_takes_them(tmp_path):
    run = learn(tmp_path / "run", "id_only", epochs=1, warmup_steps=3)
    assert run.config.options["warmup_steps"] == 3


@pytest.mark.parametrize(
    "option",
    [{"encoder_learning_rate": 1e-4}, {"encoder_layer_decay": 0.5}, {"encoder_layers": 2}, {"unfreeze_every": 1}],
)
def test_options_of_what_is_not_fine_tuned_are_refused(tmp_path, option):
    (name,) = option
    frozen = SavedModelEncoder(write_image_model(tmp_path / "m"), "image", "frozen")
    model = tf.keras.Sequential([frozen])
    check_encoder_options(model, TrainingOptions())
    with pytest.raises(UsageError, match=f"{name} says how a pretrained encoder is fine-tuned, but the model has none"):
        check_encoder_options(model, TrainingOptions(**option))


def test_more_layers_than_an_encoder_has_are_refused(tmp_path):
    tuned = SavedModelEncoder(write_image_model(tmp_path / "m"), "image", "finetuned")
    model = tf.keras.Sequential([tuned])
    check_encoder_options(model, TrainingOptions(encoder_layers=len(tuned.layers), encoder_learning_rate=1e-4))
    with pytest.raises(UsageError, match=f"encoder_layers must lie in 1 to {len(tuned.layers)}, .* got 99"):
        check_encoder_options(model, TrainingOptions(encoder_layers=99))
