"""Images: decoding, encoding, and the pixel encodings of ROS messages."""

__all__: list[str] = []
