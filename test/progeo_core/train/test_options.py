import shlex

import pytest

from progeo_core.train.options import read_options
from progeo_core.train.settings import TrainingSettings

# The flags of the authors' scripts that have a default of their own, and that default.
AUTHORS = shlex.split("""
--M 10 --alpha 30 --N 5 --L 2 --groups_num 8 --min_images_per_class 10 --backbone CLIP-RN50
--fc_output_dim 1024 --batch_size 32 --epochs_num 64 --iterations_per_epoch 10000 --lr 1e-5
--classifiers_lr 0.01 --image_size 512 --batch_size_stage1 512 --epochs_num_stage1 480
--lr_stage1 0.01 --checkpoint_period_stage1 80 --checkpoint_period_stage2 8 --freeze_cnn 2
--freeze_trans 6 --brightness 0.7 --contrast 0.7 --hue 0.5 --saturation 0.7
--random_resized_crop 0.5 --infer_batch_size 64 --positive_dist_threshold 25 --seed 0
--num_workers 8 --num_preds_to_save 0 --save_dir default
""")
OTHERS = shlex.split("""
--train_all_layers --use_amp16 --resize_test_imgs --soft_triplet --save_only_wrong_preds
--augmentation_device cpu --resume_model_stage1 a --cache_feature_folder b --prompt_learners c
--resume_train d --resume_model e --device cpu --train_set_folder f --val_set_folder g
--test_set_folder h
""")


def test_the_defaults_are_the_authors() -> None:
    assert read_options("train", AUTHORS) == read_options("train", []) == TrainingSettings()


def test_every_flag_of_the_authors_is_understood() -> None:
    settings = read_options("train", OTHERS)
    assert settings.network.train_all_layers
    assert settings.run.device == "cpu"
    assert settings.stage2.soft_triplet
    assert settings.data.test_set_folder == "h"


def test_recall_values_are_numbers_that_ascend(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = read_options("test", ["--recall_values", "1", "100", "--pca_dim", "512"]).evaluation
    assert (chosen.recall_values, chosen.pca_dim) == ((1, 100), 512)
    with pytest.raises(SystemExit, match="2"):
        read_options("test", ["--recall_values", "5", "1"])
    assert "must be different, from 1 on, and ascend" in capsys.readouterr().err


def test_a_bad_value_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_options("train", ["--hue", "0.7"])
    assert "Stage2Settings.hue = 0.7: must be between 0 and 0.5" in capsys.readouterr().err
