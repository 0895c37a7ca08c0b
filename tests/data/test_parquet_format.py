import numpy as np
import pandas as pd
import pytest

from tfmmrec.data.parquet_format import column_names, record_batches
from tfmmrec.types import DataError


def test_streams_columns_in_the_order_asked_for(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": np.arange(300_000), "b": "x", "c": 1.5}).to_parquet(path)
    assert column_names(path, "t.parquet") == ["a", "b", "c"]
    batches = list(record_batches(path, "t.parquet", ["b", "a"]))
    assert len(batches) > 1 and all(batch.schema.names == ["b", "a"] for batch in batches)
    assert np.concatenate([batch.column("a") for batch in batches]).tolist() == list(range(300_000))


def test_damage_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="^t.parquet: not a readable Parquet file: "):
        column_names(path, "t.parquet")
    pd.DataFrame({"a": np.arange(10_000)}).to_parquet(path, compression="gzip")
    data = bytearray(path.read_bytes())
    data[100:10_000] = bytes(9_900)
    path.write_bytes(data)
    with pytest.raises(DataError, match="^t.parquet, after row 0: the Parquet file is damaged: "):
        list(record_batches(path, "t.parquet", ["a"]))
