"""Forms of prompts: how many learnable vectors a class has, and where its word stands among them.

Zhou, Yang, Loy, Liu 2022, "Learning to Prompt for Vision-Language Models", section 3.2, whose
CLASS_TOKEN_POSITION has these names.
"""

from __future__ import annotations

from typing import NamedTuple

END, MIDDLE, FRONT = "end", "middle", "front"
# CLIP reads 77 tokens; start, "A photo of a", "street", full stop and end take eight of them.
MAX_VECTORS = 69


class PromptForm(NamedTuple):
    """Number of learnable vectors of each class, and where the word of the class stands.

    class_token_position: behind the vectors (`END`, the paper's), before them (`FRONT`), or between
    their halves (`MIDDLE`; of an odd number the second half has one more).
    """

    n_ctx: int = 4
    class_token_position: str = END

    @property
    def vectors_before_class(self) -> int:
        """Return how many vectors stand before the word of the class."""
        return {FRONT: 0, MIDDLE: self.n_ctx // 2, END: self.n_ctx}[self.class_token_position]

    def __str__(self) -> str:
        """Return the prompt with an X in place of each vector."""
        before = self.vectors_before_class
        words = [*["X"] * before, "street", *["X"] * (self.n_ctx - before)]
        return f"A photo of a {' '.join(words)}."

    @property
    def flags(self) -> str:
        """Return the flags of training that ask for this form."""
        return f"--n_ctx {self.n_ctx} --class_token_position {self.class_token_position}"


PAPERS_FORM = PromptForm()
