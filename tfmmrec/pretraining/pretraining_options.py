"""How an encoder is pretrained, as its card records it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PretrainingOptions(BaseModel):
    """How an encoder is pretrained on a catalogue.

    Attributes:
        epochs: at most so many; fewer when the validation loss no longer falls.
        batch_size: contents in a step; of the contrastive objectives also what each has to be told from.
        learning_rate: of the encoder's weights under AdamW (Loshchilov & Hutter 2019); when None 5e-5, and 1e-3 for a
            small encoder that begins untrained.
        head_learning_rate: of what is trained along and dropped.
        layer_decay: each layer of the encoder has so many times the learning rate of the one behind it.
        layers: only so many of the encoder's last layers are trained; all when None.
        warmup_share: of all steps, in which the learning rates rise linearly; behind them they fall as a half cosine.
        weight_decay: of AdamW, decoupled; not on biases and norms.
        clip_norm: gradients are scaled down to this global norm.
        patience: epochs without a new least validation loss before it ends; the best epoch's weights are kept.
        validation_share: of the contents, held out to measure the loss.
        with_cold: contents of the dataset's cold candidates are learned from, too. A catalogue's contents are known
            before any interaction, so they may be; without them the cold stand for candidates that come later. Which
            those are the log of interactions tells, which is read for nothing else.
        mask_share: masked_token: of a text's tokens, to be found again.
        temperature: augmentation_pairs: of the similarities. Of image_text it is learned.
        projection_dim: augmentation_pairs, image_text: size of the vectors that they compare.
        least_area: augmentation_pairs: the smallest part of a picture that is cut out.
        jitter: augmentation_pairs: how strongly light and colour change; 0: they stay.
        grayscale: augmentation_pairs: share of the pictures that lose their colour.
        seed: of what is held out, of heads, batches, masks and changes.
    """

    model_config = ConfigDict(extra="forbid")

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float | None = Field(default=None, gt=0)
    head_learning_rate: float = Field(default=1e-3, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    layers: int | None = Field(default=None, ge=1)
    warmup_share: float = Field(default=0.1, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip_norm: float = Field(default=1.0, gt=0)
    patience: int = Field(default=3, ge=1)
    validation_share: float = Field(default=0.1, gt=0, lt=1)
    with_cold: bool = True
    mask_share: float = Field(default=0.15, gt=0, lt=1)
    temperature: float = Field(default=0.1, gt=0)
    projection_dim: int = Field(default=128, ge=1)
    least_area: float = Field(default=0.2, gt=0, le=1)
    jitter: float = Field(default=0.4, ge=0)
    grayscale: float = Field(default=0.2, ge=0, le=1)
    seed: int = Field(default=0, ge=0, lt=2**31)
