"""Train the image encoder with the prompts of stage 1 (stage 2); see training/README.md."""

from progeo_core.train.command import run

if __name__ == "__main__":
    run(__doc__, ("stage2",))
