"""Datasets: folders of tables and pictures that explain themselves, read, checked, parted and batched."""

from tfmmrec._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Dataset": "dataset",
        "Entities": "entities",
        "Inspection": "inspection",
        "Interactions": "interactions",
        "Issue": "issues",
        "dataset_from_frames": "dataset",
        "hold_out": "splits",
        "inspect_dataset": "inspection",
        "load_dataset": "dataset",
        "propose_schema": "proposal",
        "read_schema": "config",
        "render_garment": "fashion",
        "write_fashion": "fashion",
        "write_songs": "songs",
    },
)
