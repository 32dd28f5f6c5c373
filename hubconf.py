"""Entry of torch.hub: `torch.hub.load("OWNER/REPO", "progeo", weights="progeo-tiny")`."""

from progeo_core.inference.hub import progeo

__all__ = ["progeo"]
dependencies = ["torch", "torchvision", "open_clip", "safetensors", "cv2"]
