"""Run both training stages in a row; see training/README.md."""

from progeo_core.train.command import run

if __name__ == "__main__":
    run(__doc__, ("stage1", "stage2"))
