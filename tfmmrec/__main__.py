"""`python -m tfmmrec` is the command `tfmmrec`."""

from tfmmrec.cli.main import run

if __name__ == "__main__":
    run()
