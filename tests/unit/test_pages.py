"""What a page is made of: arrays that are packed, rounded vectors, pictures."""

import base64
import gzip

import numpy as np

from marginalia.pages.form import Picture, pack, quantized


def test_packed_arrays_come_out_again_and_start_where_their_type_can():
    arrays = {
        "odd": np.array([1, 2, 3], np.uint8),
        "wide": np.array([[1.5, -2.25]], np.float64),
        "short": np.array([-7], ">i2"),
    }
    layout, text = pack(arrays)
    content = gzip.decompress(base64.b64decode(text))
    for name, array in arrays.items():
        place = layout[name]
        size = np.dtype(place["type"]).itemsize
        assert place["start"] % size == 0
        found = np.frombuffer(content, f"<{np.dtype(place['type']).str[1:]}", array.size, place["start"])
        np.testing.assert_array_equal(found.reshape(place["shape"]), array)
    assert pack(arrays)[1] == text


def test_rounded_vectors_are_true_to_a_part_in_sixty_thousand_of_their_greatest_number():
    vectors = np.random.default_rng(0).normal(size=(3, 5, 784))
    vectors[0, 0] = 0
    rounded, unit = quantized(vectors)
    assert rounded.dtype == np.int16 and unit.shape == (3, 5)
    error = np.abs(rounded * unit[..., None].astype(float) - vectors).max(-1)
    assert (error <= 0.502 * np.abs(vectors).max(-1) / 32767 + 1e-12).all()
    assert np.isfinite(unit).all()


def test_a_picture_says_what_it_shows():
    text = Picture(b"png", 'a "quoted" <word>').__html__()
    assert 'alt="a &quot;quoted&quot; &lt;word&gt;"' in text and "base64,cG5n" in text
