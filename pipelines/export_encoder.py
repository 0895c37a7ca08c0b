"""`tfmmrec encoder export`, run by path: python pipelines/export_encoder.py SOURCE --to DIR."""

import sys

from tfmmrec.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["encoder", "export", *sys.argv[1:]]))
