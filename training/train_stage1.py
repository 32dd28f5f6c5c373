"""Learn one prompt per place class (stage 1); see training/README.md."""

from progeo_core.train.command import run

if __name__ == "__main__":
    run(__doc__, ("stage1",))
