"""Makes small random checkpoints with Keras 3, exports them, and notes what Keras says of them; a process of its own.

    python -m tests.pretrained.exporting FOLDER

FOLDER/checkpoints/NAME are the checkpoints, FOLDER/NAME the exported encoders, FOLDER/expected.npz what Keras computes,
FOLDER/refused.json the errors of requests that cannot be served.
"""

from __future__ import annotations

from tfmmrec.pretrained import export_encoder as exporter  # chooses Keras 3, before TensorFlow is imported

# isort: split
import importlib
import io
import json
import shutil
import sys
from pathlib import Path
from unittest.mock import patch

import keras
import keras_hub
import numpy as np
import sentencepiece

from tests.pretrained.inputs import MERGES, PIECES, TEXTS, VOCABULARY, pixels
from tfmmrec.pretrained import application_halves
from tfmmrec.pretrained.export_request import ExportRequest
from tfmmrec.types import DataError, UsageError

expected: dict[str, np.ndarray] = {}
refused: dict[str, str] = {}


def export(folder: Path, name: str, source: str | Path, **options) -> None:
    """Exports one encoder."""
    exporter.export_encoder(ExportRequest(str(source), **options), folder / name)


def refuse(folder: Path, name: str, source: str | Path, **options) -> None:
    """Notes why one is not exported."""
    try:
        export(folder, f"refused {name}", source, **options)
    except (DataError, UsageError) as error:
        refused[name] = f"{type(error).__name__}: {error}"


def save(folder: Path, *parts) -> Path:
    """A checkpoint of some parts."""
    for part in parts:
        part.save_to_preset(str(folder))
    return folder


def bert(folder: Path, checkpoints: Path) -> None:
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=len(VOCABULARY), num_layers=1, num_heads=2, hidden_dim=8, intermediate_dim=12,
        max_sequence_length=16,
    )  # fmt: skip
    for weight in backbone.weights:  # biases and the like too: all of them must matter
        weight.assign(weight + np.random.default_rng(0).normal(0, 0.3, weight.shape))
    tokenizer = keras_hub.models.BertTokenizer(VOCABULARY, lowercase=True)
    source = save(checkpoints / "bert", backbone, tokenizer)
    tensors = keras_hub.models.BertTextClassifierPreprocessor(tokenizer, sequence_length=7)(TEXTS)
    expected["bert ids"] = np.asarray(tensors["token_ids"])
    expected["bert mask"] = np.asarray(tensors["padding_mask"])
    expected["bert sequence"] = np.asarray(backbone(tensors)["sequence_output"])
    for pooling in ("mean", "cls", "max"):
        export(folder, f"bert {pooling}", source, pooling=pooling, max_length=7)
    export(folder, "bert untrained", source, untrained=True)
    refuse(folder, "beyond its positions", source, max_length=17)
    refuse(folder, "an image size of texts", source, image_size=8)
    refuse(folder, "a half of bert", source, half="image")
    for name, file in (("no vocabulary", "assets/tokenizer/vocabulary.txt"), ("no weights", "model.weights.h5")):
        shutil.copytree(source, checkpoints / name)
        (checkpoints / name / file).unlink()
        refuse(folder, name, checkpoints / name)
    shutil.copytree(source, checkpoints / "another size")
    path = checkpoints / "another size" / "config.json"
    path.write_text(path.read_text().replace('"hidden_dim": 8', '"hidden_dim": 10'))
    refuse(folder, "another size", checkpoints / "another size")


def albert(folder: Path, checkpoints: Path) -> None:
    pieces, texts = io.BytesIO(), ["red dress", "blue cafe", "warm wool"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=pieces, vocab_size=26, model_type="CHAR", pad_id=0, unk_id=1,
        bos_id=-1, eos_id=-1, pad_piece="<pad>", unk_piece="<unk>", user_defined_symbols=["[CLS]", "[SEP]", "[MASK]"],
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    tokenizer = keras_hub.models.AlbertTokenizer(pieces.getvalue())
    backbone = keras_hub.models.AlbertBackbone(
        vocabulary_size=tokenizer.vocabulary_size(), num_layers=1, num_heads=2, embedding_dim=4, hidden_dim=8,
        intermediate_dim=12, max_sequence_length=16,
    )  # fmt: skip
    source = save(checkpoints / "albert", backbone, tokenizer)
    told = source / "tokenizer_config.json"
    for name, folding in (("albert", {}), ("albert accents", {"keep_accents": True})):
        told.write_text(json.dumps({"do_lower_case": True} | folding))
        export(folder, name, source)


def pictures(folder: Path, checkpoints: Path) -> None:
    vit = keras_hub.models.ViTBackbone(
        image_shape=(16, 16, 3), patch_size=8, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=12
    )
    scaling = keras_hub.layers.ViTImageConverter(image_size=(16, 16), scale=1 / 127.5, offset=-1.0)
    source = save(checkpoints / "vit", vit, scaling)
    expected["vit tokens"] = np.asarray(vit(scaling(pixels(16)[None])))
    export(folder, "vit", source)
    export(folder, "vit mean", source, pooling="mean")
    refuse(folder, "pictures of another size", source, image_size=32)
    refuse(folder, "words of pictures", source, max_length=8)
    refuse(folder, "no image converter", save(checkpoints / "bare", vit))
    swin = keras_hub.models.SwinTransformerBackbone(
        image_shape=(16, 16, 3), embed_dim=4, depths=(1,), num_heads=(2,), window_size=2, patch_size=4
    )
    source = save(checkpoints / "swin", swin, scaling)
    expected["swin cells"] = np.asarray(swin(scaling(pixels(16)[None])))
    export(folder, "swin", source)
    refuse(folder, "a first token of swin", source, pooling="cls")
    resnet = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64, 64],
        stackwise_num_blocks=[1, 1], stackwise_num_strides=[1, 2], block_type="basic_block",
    )  # fmt: skip
    colours = keras_hub.layers.ResNetImageConverter(
        image_size=(24, 24), scale=[0.01, 0.02, 0.03], offset=[-1.0, 0.0, 1.0], crop_to_aspect_ratio=False
    )
    source = save(checkpoints / "resnet", resnet, colours)
    expected["resnet cells"] = np.asarray(resnet(colours(pixels(24)[None])))
    export(folder, "resnet", source)
    export(folder, "resnet max", source, pooling="max", image_size=32)
    refuse(folder, "a first token of cells", source, pooling="cls")


def clip(folder: Path, checkpoints: Path) -> None:
    vision = keras_hub.models.CLIPVisionEncoder(
        patch_size=8, hidden_dim=8, num_layers=1, num_heads=2, intermediate_dim=12, image_shape=(16, 16, 3)
    )
    words = keras_hub.models.CLIPTextEncoder(
        vocabulary_size=len(PIECES), embedding_dim=8, hidden_dim=8, num_layers=1, num_heads=2, intermediate_dim=12,
        max_sequence_length=12,
    )  # fmt: skip
    pair = keras_hub.models.CLIPBackbone(vision, words, projection_dim=5)
    tokenizer = keras_hub.models.CLIPTokenizer(PIECES, MERGES, pad_with_end_token=True)
    converter = keras_hub.layers.CLIPImageConverter(image_size=(16, 16), scale=1 / 255)
    source = save(checkpoints / "clip", pair, tokenizer, converter)
    packed = keras_hub.models.CLIPPreprocessor(tokenizer, converter, sequence_length=12)(
        {"prompts": TEXTS, "images": np.stack([pixels(16)] * len(TEXTS))}
    )
    expected["clip ids"] = np.asarray(packed["token_ids"])  # outside of a graph another tokenizer makes them
    expected["clip texts"] = np.asarray(pair.get_text_embeddings(packed["token_ids"]))
    expected["clip pictures"] = np.asarray(pair.get_vision_embeddings(packed["images"]))[:1]
    export(folder, "clip text", source, half="text")
    export(folder, "clip image", source, half="image")
    refuse(folder, "both halves", source)
    refuse(folder, "pooling of a pair", source, half="text", pooling="mean")


def applications(folder: Path, checkpoints: Path) -> None:
    make, name = keras.applications.MobileNetV3Small, "applications:MobileNetV3Small"
    whole = make(include_top=True, weights=None, input_shape=(32, 32, 3))
    for weight in whole.weights:
        if "moving" in weight.path:  # so that nothing is left as it was made
            weight.assign(weight + np.random.default_rng(1).uniform(0, 0.5, weight.shape))
    bare = make(include_top=False, weights=None, input_shape=(32, 32, 3))
    for layer, own in zip(bare.layers, whole.layers, strict=False):
        layer.set_weights(own.get_weights())
    expected["mobilenet cells"] = np.asarray(bare(pixels(32)[None].astype(np.float32)))
    for file, network in (("whole.weights.h5", whole), ("bare.weights.h5", bare)):
        network.save_weights(checkpoints / file)
        export(folder, file, name, weights=str(checkpoints / file), image_size=32)
    export(folder, "random", name, untrained=True, image_size=32, pooling="max")
    other = "applications:MobileNetV3Large"
    refuse(folder, "weights of another network", other, weights=str(checkpoints / "bare.weights.h5"), image_size=32)
    refuse(folder, "no such network", "applications:ResNet51", untrained=True)
    refuse(folder, "a small picture", name, untrained=True, image_size=8)
    for kind in application_halves.NAMES:  # which size each has where it is not told
        make = getattr(keras.applications, kind)
        rules = importlib.import_module(make.__module__)
        with patch.object(rules.imagenet_utils, "obtain_input_shape", side_effect=InterruptedError) as obtain:
            try:
                make(include_top=True, weights=None)
            except InterruptedError:
                expected[f"size {kind}"] = np.array(obtain.call_args.kwargs["default_size"])
                expected[f"own size {kind}"] = np.array(application_halves._SIZES.get(kind, application_halves._SIZE))
    network = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    norm = next(layer for layer in network.layers if isinstance(layer, keras.layers.Normalization))
    norm.set_weights([np.array([0.4, 0.5, 0.6]), np.array([0.2, 0.25, 0.3]), np.array(0)])
    application_halves._restore_scale(network)
    expected["efficientnet norm"] = np.asarray(keras.Model(network.input, norm.output)(pixels(32)[None]))


def main(folder: Path) -> None:
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir()
    keras.utils.set_random_seed(0)
    for make in (bert, albert, pictures, clip, applications):
        make(folder, checkpoints)
    refuse(folder, "unknown preset", "bert_tiny_en_uncaste")
    with patch.object(keras_hub.models.Backbone, "from_preset", side_effect=ConnectionError("no route to it")):
        refuse(folder, "no network", "bert_tiny_en_uncased")
    np.savez(folder / "expected.npz", **expected)
    (folder / "refused.json").write_text(json.dumps(refused))
    assert "tf_keras" not in sys.modules, "Keras 2 and Keras 3 met"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
