"""Views change pixels as they say, and titles with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.fft import dctn

from marginalia import dct, views
from marginalia.dataset import Dataset, Split

GREY = {"name": "grayscale", "settings": {}}
FLIP = {"name": "dct_flip", "settings": {}}


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


def low_pass(size):
    return {"name": "low_pass", "settings": {"size": size}}


def high_pass(size):
    return {"name": "high_pass", "settings": {"size": size}}


def pixels(split):
    return split.images / np.float32(255) if split.images.dtype == np.uint8 else split.images


@pytest.fixture(params=[(3, 11, 8), (1, 28, 28), (3, 32, 32)], ids=str)
def images(request):
    channels, height, width = request.param
    return dataset(channels, height, width)


def test_the_flip_reverses_the_spectrum_of_each_channel_and_undoes_itself(images):
    flipped = views.change(images, [FLIP])
    spectrum = dctn(pixels(images.test).astype(np.float64), axes=(2, 3), norm="ortho")
    reversed_ = dctn(flipped.test.images.astype(np.float64), axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(reversed_, spectrum[:, :, ::-1, ::-1], atol=1e-5)
    twice = views.change(images, [FLIP, FLIP])
    for name in ("train", "test"):
        before, after = getattr(images, name), getattr(twice, name)
        np.testing.assert_allclose(after.images, pixels(before), atol=1e-6)
        assert after.images.dtype == np.float32 and (after.labels == before.labels).all()
    torchs = dct.flip(torch.from_numpy(pixels(images.train)))
    np.testing.assert_allclose(flipped.train.images, torchs, atol=1e-5)


def test_the_flip_keeps_distances(images):
    before, after = pixels(images.train), views.change(images, [FLIP]).train.images
    for one, other in ((before[0], after[0]), (before[1] - before[2], after[1] - after[2])):
        assert np.linalg.norm(other) == pytest.approx(np.linalg.norm(one), rel=1e-5)


def test_low_and_high_frequencies_are_the_whole(images):
    low, high = (views.change(images, [change(5)]) for change in (low_pass, high_pass))
    np.testing.assert_allclose(low.test.images + high.test.images, pixels(images.test), atol=1e-6)
    spectrum = dctn(low.train.images.astype(np.float64), axes=(2, 3), norm="ortho")
    original = dctn(pixels(images.train).astype(np.float64), axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(spectrum[:, :, :5, :5], original[:, :, :5, :5], atol=1e-5)
    spectrum[:, :, :5, :5] = 0
    assert np.abs(spectrum).max() < 1e-5
    assert np.abs(original[:, :, 5:]).max() > 0.1


def test_what_frequencies_make_of_images_has_no_box_and_says_so():
    before = dataset(height=28, width=28)
    before.train.images[:] = 0
    before.train.images[:, :, 7:20, 7:20] = 255
    titles = []
    for change in (FLIP, low_pass(6), high_pass(6)):
        after = views.change(before, [change])
        assert before.box == (0, 1) and after.box is None
        assert after.train.images.min() < 0 or after.train.images.max() > 1
        titles.append(after.title)
    assert titles == ["X, DCT-flipped", "X, 6x6 lowest frequencies", "X, without its 6x6 lowest frequencies"]
    assert views.change(before, [FLIP, subset(train=2)]).box is None


def test_frequencies_do_not_depend_on_how_many_images_there_are(monkeypatch):
    before = dataset()
    whole = views.change(before, [FLIP])
    monkeypatch.setattr("marginalia.views._frequencies.AT_ONCE", 2 * 3 * 11 * 8)
    assert views.change(before, [FLIP]).sha256 == whole.sha256
    none = replace(before, train=Split(before.train.images[:0], before.train.labels[:0]))
    assert (views.change(none, [FLIP]).test.images == whole.test.images).all()


@pytest.mark.parametrize("change", [low_pass, high_pass])
@pytest.mark.parametrize("size", [0, 9])
def test_frequencies_that_are_not_there_are_refused(change, size):
    with pytest.raises(ValueError, match=f"no corner of {size}x{size} frequencies; allowed: size 1 to 8"):
        views.change(dataset(), [change(size)])


def test_data_with_directions_of_their_own_are_not_changed():
    turned = replace(dataset(), facts={"rotation": np.eye(4)})
    with pytest.raises(ValueError, match="directions of its own"):
        views.change(turned, [FLIP])
