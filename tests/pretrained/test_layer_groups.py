from types import SimpleNamespace

from tfmmrec.pretrained.layer_groups import layer_groups


def named(*paths):
    return [SimpleNamespace(path=path) for path in paths]


def groups(*paths):
    return [[weight.path for weight in layer] for layer in layer_groups(named(*paths))]


def test_blocks_are_layers_and_what_has_no_number_goes_by_its_first_part():
    embeddings = ("embeddings/tokens/embeddings", "embeddings/norm/gamma")
    first = ("transformer_layer_0/attention/query/kernel", "transformer_layer_0/norm/gamma")
    second = ("transformer_layer_1/attention/query/kernel",)
    assert groups(*embeddings, *first, *second, "pooler/kernel") == [
        list(embeddings),
        list(first),
        list(second),
        ["pooler/kernel"],
    ]


def test_blocks_inside_of_an_encoder_are_told_apart():
    paths = ("text_encoder/embedding/table", "text_encoder/layer_0/kernel", "text_encoder/layer_1/kernel", "scale")
    assert groups(*paths) == [[path] for path in paths]
