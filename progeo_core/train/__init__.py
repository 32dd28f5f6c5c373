"""Train the ProGEO network in two stages: prompts per place class, then the image encoder."""
