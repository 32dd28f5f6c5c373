"""Measure the recall of a trained model on database/ and queries/; see training/README.md."""

from progeo_core.train.command import run

if __name__ == "__main__":
    run(__doc__, ("evaluation",))
