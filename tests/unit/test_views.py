"""Views change pixels as they say, and titles with them."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from marginalia import views
from marginalia.dataset import Dataset, Split

GREY = {"name": "grayscale", "settings": {}}


def crop(size):
    return {"name": "crop", "settings": {"size": size}}


def dataset(channels=3, height=11, width=8, dtype=np.uint8):
    images = np.random.default_rng(0).integers(256, size=(7, channels, height, width), dtype=np.uint8)
    if dtype == np.float32:
        images = images / np.float32(255)
    labels = np.arange(7)
    return Dataset("x", "X", "a note", tuple("abcdefg"), Split(images, labels), Split(images[:3], labels[:3]))


def test_grayscale_is_pillows():
    colour = dataset()
    grey = views.change(colour, [GREY])
    for before, after in ((colour.train, grey.train), (colour.test, grey.test)):
        expected = [
            np.asarray(Image.fromarray(image.transpose(1, 2, 0)).convert("L")) for image in before.images
        ]
        assert (after.images[:, 0] == np.stack(expected)).all()
        assert (after.labels == before.labels).all()
    assert (grey.title, grey.note) == ("X, grey", "a note")


def test_grayscale_of_floats_is_that_of_bytes():
    grey = views.change(dataset(dtype=np.float32), [GREY]).train.images
    assert grey.dtype == np.float32
    assert np.abs(grey * 255 - views.change(dataset(), [GREY]).train.images).max() <= 0.51


def test_views_keep_the_facts_about_the_data():
    box = np.array([0.0, 2.0])
    known = replace(dataset(), facts={"box": box})
    changed = views.change(known, [crop(6), GREY, classes(5, 2), subset(train=1)])
    assert changed.facts == {"box": box}


def test_grayscale_refuses_grey():
    with pytest.raises(ValueError, match="1 channels"):
        views.change(dataset(channels=1), [GREY])


def test_crop_keeps_the_middle():
    before = dataset(height=11, width=8)
    after = views.change(before, [crop(4)])
    assert (after.train.images == before.train.images[:, :, 3:7, 2:6]).all()
    assert (after.test.images == before.test.images[:, :, 3:7, 2:6]).all()
    assert after.train.images.flags.c_contiguous
    assert after.title == "X, centre 4x4"


@pytest.mark.parametrize("size", [0, 9])
def test_crop_refuses_what_is_not_in_the_image(size):
    with pytest.raises(ValueError, match=f"8x11: a crop of {size}x{size}"):
        views.change(dataset(), [crop(size)])


def test_changes_are_made_in_order():
    before = dataset()
    after = views.change(before, [crop(6), GREY, crop(2)])
    expected = views.change(before, [GREY]).train.images[:, :, 4:6, 3:5]
    assert after.title == "X, centre 6x6, grey, centre 2x2"
    assert (after.train.images == expected).all()
    assert before.shape == (3, 11, 8)


def classes(*keep):
    return {"name": "classes", "settings": {"keep": list(keep)}}


def test_classes_keeps_some_and_renumbers_them_in_the_order_given():
    before = dataset()
    after = views.change(before, [classes(5, 2)])
    assert after.classes == ("f", "c")
    assert after.train.labels.tolist() == [1, 0] and after.train.labels.dtype == np.int64
    assert (after.train.images == before.train.images[[2, 5]]).all()
    assert after.test.labels.tolist() == [1]
    assert (after.title, after.note) == ("X, only f and c", "a note; 3 of 10 images")


@pytest.mark.parametrize("keep", [[7], [-1, 0], [1, 1], []])
def test_classes_that_cannot_be_kept_are_refused(keep):
    with pytest.raises(ValueError, match="x has the labels 0 to 6"):
        views.change(dataset(), [classes(*keep)])


def subset(**counts):
    return {"name": "subset", "settings": counts}


def test_subset_keeps_pairs_of_image_and_label_each_once():
    before = dataset()
    after = views.change(before, [subset(train=4)])
    assert after.train.labels.tolist() == list(dict.fromkeys(after.train.labels.tolist()))
    assert len(after.train) == 4 and len(after.test) == 3
    assert (after.train.images == before.train.images[after.train.labels]).all()
    assert (after.title, after.note) == ("X", "a note; 4 of 7 train images")
    assert views.change(before, [subset(train=4)]).sha256 == after.sha256
    assert views.change(before, [subset(train=4, seed=1)]).sha256 != after.sha256


@pytest.mark.parametrize("count", [0, 8])
def test_subset_refuses_more_than_there_is(count):
    with pytest.raises(ValueError, match="x has 7 train images"):
        views.change(dataset(), [subset(train=count)])
