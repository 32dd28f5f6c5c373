from progeo_core.inference.xfeat_weights import weights_hash


def test_the_weights_have_a_name():
    assert len(weights_hash()) == 8
    assert int(weights_hash(), 16)
