"""The reward explorer and the prediction of lesson 00."""

import numpy as np
import pytest

from mlearn_utils.course.lesson_00.pictures import predict_experienced, reward_explorer


def test_the_reward_explorer_follows_its_sliders():
    explorer = reward_explorer()
    before = explorer.png
    assert "0.40 m/s off the target +0.70 m/s: reward <strong>0.60</strong>" in explorer.caption.value
    explorer.explore(target=-0.5, velocity=1.0)
    assert "1.50 m/s off the target −0.50 m/s: reward <strong>0.00</strong>" in explorer.caption.value
    assert explorer.png != before
    tent, wanted, cart = (np.array(line.get_data()) for line in explorer.picture.figure.axes[0].lines)
    assert tent[0, tent[1].argmax()] == pytest.approx(-0.5)
    assert wanted[0].tolist() == [-0.5, -0.5]
    assert cart.tolist() == [[1.0], [0.0]]


def test_the_prediction_reveals_the_mean_returns_that_it_was_given():
    newcomer, experienced = np.full((4, 2, 16), 0.25), np.full((4, 2, 16), 0.75)
    prediction = predict_experienced(newcomer, experienced)
    assert "12.0" not in prediction.caption.value
    prediction.commit(8.0)
    assert "It is <b>12.0</b>; you said 8.0" in prediction.caption.value
    assert "reaches 4.0" in prediction.caption.value
