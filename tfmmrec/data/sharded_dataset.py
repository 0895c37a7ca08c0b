"""A dataset's files as many processes read them: what each of them has to know, small and the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tfmmrec.data.config import read_schema
from tfmmrec.data.readers import FileTable, check_columns, find_files
from tfmmrec.schema import EntitySchema, InteractionsSchema, Schema
from tfmmrec.types import UsageError

SIDES = ("candidates", "queries")
ROWS_PER_BLOCK = 2**16
_BYTES_PER_PARTITION = 2**24
_PARTITIONS = (8, 4096)


@dataclass(frozen=True)
class ShardedDataset:
    """What is to be prepared, with absolute paths that every worker can reach.

    Attributes:
        schema: of the dataset.
        root: its folder.
        log: (part, file) of the interactions, parts in the order train, valid, test; the part of a whole log is "path".
        tables: side -> its table's files; none where there is no table.
        to: the folder that is written to.
        num_partitions: what is grouped by ids is cut into so many pieces, each of which fits in a worker's memory.
        queries_per_shard: whose interactions make one shard.
    """

    schema: Schema
    root: str
    log: tuple[tuple[str, str], ...]
    tables: dict[str, tuple[str, ...]]
    to: str
    num_partitions: int
    queries_per_shard: int

    @classmethod
    def open(
        cls, dataset: str | Path, config: str | Path | None, to: str | Path, queries_per_shard: int = 2**14
    ) -> ShardedDataset:
        """Finds the files, and checks what can be checked without reading them.

        Args:
            dataset: the dataset's folder.
            config: another yaml than the folder's own.
            to: where shards are written.
            queries_per_shard: whose interactions make one shard.

        Raises:
            DataError: no valid schema, a file that is not there, or one that lacks a column.
            UsageError: no queries in a shard.
        """
        if queries_per_shard < 1:
            raise UsageError(f"queries_per_shard must be at least 1, got {queries_per_shard}")
        schema = read_schema(dataset, config)
        schema.check_files()
        root, own = Path(dataset).resolve(), schema.interactions
        parts = {"path": own.path} if own.path else {"train": own.train, "valid": own.valid, "test": own.test}
        logs = {part: FileTable(root, name, f"interactions.{part}") for part, name in parts.items() if name}
        tables = {
            side: FileTable(root, getattr(schema, side).path, f"{side}.path")
            for side in SIDES
            if getattr(schema, side).path
        }
        for table in logs.values():
            check_columns(table.column_names(), log_columns(own), table.name)
        for side, table in tables.items():
            existing = table.column_names()
            check_columns(existing, table_columns(getattr(schema, side), existing), table.name)
        for side in SIDES:
            for name, feature in getattr(schema, side).features.items():
                if feature.path:
                    find_files(root, feature.path, f"{side}.features.{name}.path")
        files = {key: [path.relative_to(root).as_posix() for path in table.paths] for key, table in tables.items()}
        size = sum(path.stat().st_size for table in (*logs.values(), *tables.values()) for path in table.paths)
        return cls(
            schema,
            str(root),
            tuple((part, path.relative_to(root).as_posix()) for part, table in logs.items() for path in table.paths),
            {side: tuple(files.get(side, ())) for side in SIDES},
            str(Path(to).resolve()),
            min(max(_PARTITIONS[0], size // _BYTES_PER_PARTITION), _PARTITIONS[1]),
            queries_per_shard,
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that the prepared log has."""
        log = self.schema.interactions
        if log.path is None:
            return tuple(part for part in ("train", "valid", "test") if getattr(log, part))
        return ("train", "valid", "test") if log.split_or_default.valid else ("train", "test")

    def table(self, file: str, key: str) -> FileTable:
        """One file of a table."""
        return FileTable(Path(self.root), file, key)

    def is_fixed(self, side: str) -> bool:
        """Whether a side has no other ids than those of its table, or of its range."""
        own = getattr(self.schema, side)
        return own.path is not None or own.ids is not None

    def source(self, side: str) -> str:
        """What messages call a side's ids."""
        own = getattr(self.schema, side)
        return own.path or (f"{side}.ids (range: {own.ids.range})" if own.ids else "")

    def per_block(self, side: str) -> int:
        """How many ids of a side are written into one file."""
        return self.queries_per_shard if side == "queries" else ROWS_PER_BLOCK


def log_columns(schema: InteractionsSchema) -> list[str]:
    """The columns that a file of interactions must have."""
    rule = schema.positive_rule
    extra = [schema.timestamp, schema.rating, schema.weight, rule[0] if rule else None]
    extra += [feature.column or name for name, feature in schema.features.items()]
    return list(dict.fromkeys([schema.query, schema.candidate, *(name for name in extra if name)]))


def table_columns(schema: EntitySchema, existing: list[str]) -> list[str]:
    """The columns that a file of candidates or queries must have, which has the `existing` ones."""
    own = {name: feature.column or name for name, feature in schema.features.items() if feature.path is None}
    shown = [name if name in existing else own.get(name, name) for name in schema.display]
    return list(dict.fromkeys([schema.id, *own.values(), *shown]))
