import pytest

from progeo_core.errors import UsageError
from progeo_core.model.model_address import parse_model_address


def test_an_address_names_code_its_revision_and_its_arguments() -> None:
    address = parse_model_address(
        "hub:me/net@v1.2:make?dim=512&pretrained=true&name=a&size=640x480"
    )
    assert address is not None
    assert address[:4] == ("hub", "me/net", "make", "v1.2")
    assert address.arguments == {"dim": 512, "pretrained": True, "name": "a"}
    assert address.runs_code
    seen = address.preprocessing(322, 322)
    assert (seen.width, seen.height, seen.resampling) == (640, 480, "bilinear")


def test_a_file_runs_no_code_and_says_what_it_sees() -> None:
    address = parse_model_address("onnx:a:b/net.onnx?mean=0,0,0&std=1,1,1&interpolation=bicubic")
    assert address is not None
    assert (address.source, address.runs_code) == ("a:b/net.onnx", False)
    assert address.preprocessing(224, 320)[:3] == (224, 320, "bicubic")
    assert address.preprocessing(224, 320).std == (1.0, 1.0, 1.0)


def test_other_names_are_no_addresses() -> None:
    for name in ("mobilenetv2-gem", "CLIP-RN50:openai", "folder/model", "hub"):
        assert parse_model_address(name) is None


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("py:numpy", "write it as py:MODULE:FACTORY"),
        ("onnx:", "write it as onnx:FILE"),
        ("hub:me/net:a b", "write it as hub:OWNER/REPO"),
        ("onnx:a.onnx?dim=3", "an ONNX file takes the options size"),
        ("onnx:a.onnx?size=0", "size=0: give pixels"),
        ("onnx:a.onnx?size=1x2x3", "give it as PIXELS or WIDTHxHEIGHT"),
        ("onnx:a.onnx?mean=1,2", "mean=1,2: give three numbers"),
        ("onnx:a.onnx?std=1,0,1", "std=1,0,1: give finite numbers, and as std such above 0"),
        ("onnx:a.onnx?mean=nan,0,1", "mean=nan,0,1: give finite numbers"),
        ("onnx:a.onnx?interpolation=lanczos", "take one of bilinear, bicubic"),
    ],
)
def test_what_is_wrong_with_an_address_is_said(model: str, message: str) -> None:
    def read() -> None:
        address = parse_model_address(model)
        assert address is not None
        address.preprocessing(322, 322)

    with pytest.raises(UsageError, match=message):
        read()
