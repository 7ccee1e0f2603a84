"""What is answered: the library's own predictions, each picture's its own whatever the company; S08, S23, S26."""

from __future__ import annotations

import asyncio
import io
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from ...failures.test_pictures import ACCEPTED, REFUSED
from .house import form, png

CLOSE = 1e-6


def same(told: dict, prediction) -> None:
    wanted = asdict(prediction)
    assert told["label"] == "|".join(wanted["labels"])
    assert tuple(told["labels"]) == wanted["labels"]
    assert list(told["probabilities"]) == list(wanted["probabilities"])
    for name, value in wanted["probabilities"].items():
        assert told["probabilities"][name] == pytest.approx(value, abs=CLOSE)
    assert told["probability"] == pytest.approx(wanted["confidence"], abs=CLOSE)
    assert (told["accepted"], told["unknown"]) == (wanted["accepted"], wanted["unknown"])
    assert told["unknown_score"] == pytest.approx(wanted["unknown_score"])


@pytest.mark.parametrize(
    "options",
    [{}, {"channels": 3, "side": 20}, {"multi_label": True}, {"channels": 3, "views": 2, "crop": (8, 10)}],
    ids=["grey", "colour", "multi-label", "views and crop"],
)
def test_the_server_answers_what_the_predictor_does(open_house, untrained, options):
    predictor = untrained(**options)
    house = open_house(predictor, port=False)
    pictures = [png(seed, side=10 + seed, mode="RGB" if seed % 2 else "L") for seed in range(4)]
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (90, 140, 3), np.uint8)).save(file, "JPEG")
    pictures.append(file.getvalue())
    single = [house.predict(picture).json()["predictions"][0] for picture in pictures]
    body, kind = form(*[("x", picture) for picture in pictures])
    together = house.predict(body, content_type=kind).json()["predictions"]
    for one, other, wanted in zip(single, together, predictor.predict(pictures), strict=True):
        same(one, wanted)
        same(other, wanted)
    assert single[0]["name"] == predictor.predict(pictures[0])[0].name


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_s08_pictures_that_cannot_be_used_are_refused(house, name):
    data = REFUSED[name][0] if isinstance(REFUSED[name], tuple) else REFUSED[name]
    data = data() if callable(data) else data
    assert house.predict(data).status_code in (400, 413, 422)


@pytest.mark.parametrize("name", sorted(ACCEPTED))
def test_s08_odd_pictures_that_can_be_used_are_answered(house, name):
    data = ACCEPTED[name][0] if isinstance(ACCEPTED[name], tuple) else ACCEPTED[name]
    data = data() if callable(data) else data
    assert house.predict(data).status_code in (200, 413)


def test_s08_a_picture_of_too_many_pixels_is_refused_by_its_header(open_house, untrained):
    house = open_house(untrained(), port=False, max_pixels=100)
    answer = house.predict(png(side=11))
    assert answer.status_code == 422
    assert "limit 100 pixels" in answer.json()["error"]["message"]
    assert house.predict(png(side=10)).status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        "top=0",
        "top=-1",
        "top=6",
        "top=1000000000",
        "top=abc",
        "top=",
        "top=1.0",
        "top=1&top=2",
        "threshold=NaN",
        "token=x",
        "TOP=1",
        "top=%31",
        "top=" + "1" * 5000,
    ],
)
def test_s23_queries_that_cannot_be_obeyed_are_refused(house, query):
    answer = house.predict(png(), f"/predict?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "wrong_query")


def test_s23_top_gives_the_largest_probabilities_in_order(house):
    every = house.predict(png()).json()["predictions"][0]["probabilities"]
    top = house.predict(png(), "/predict?top=2").json()["predictions"][0]["probabilities"]
    assert list(top.items()) == sorted(every.items(), key=lambda pair: -pair[1])[:2]


def test_s26_a_bad_picture_among_32_fails_alone(house):
    pictures = [png(seed) for seed in range(32)]
    alone = [house.predict(picture).json()["predictions"][0] for picture in pictures]
    pictures[20] = b"no picture"
    body, kind = form(*[(f"{number}.png", picture) for number, picture in enumerate(pictures)])
    answer = house.predict(body, content_type=kind)
    assert answer.status_code == 200
    told = answer.json()["predictions"]
    assert told[20] == {"name": "20.png", "error": told[20]["error"]}
    assert told[20]["error"]["code"] == "unusable_picture"
    for number in {*range(32)} - {20}:
        assert told[number]["probabilities"] == pytest.approx(alone[number]["probabilities"], abs=CLOSE)


def test_s26_a_bad_picture_among_other_peoples_requests_fails_alone(house):
    pictures = [png(seed) for seed in range(32)]
    alone = [house.predict(picture).json()["predictions"][0] for picture in pictures]
    pictures[20] = b"no picture"

    async def all_at_once():
        async with house.client() as client:
            return await asyncio.gather(*(client.post("/predict", content=picture) for picture in pictures))

    answers = house.run(all_at_once())
    assert [answer.status_code for answer in answers] == [200] * 20 + [422] + [200] * 11
    for number in {*range(32)} - {20}:
        told = answers[number].json()["predictions"][0]
        assert told["probabilities"] == pytest.approx(alone[number]["probabilities"], abs=CLOSE)


def test_where_no_picture_of_several_can_be_used_the_request_fails(house):
    body, kind = form(("a", b"x"), ("b", b""))
    answer = house.predict(body, content_type=kind)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "unusable_picture")


def test_pictures_are_counted(house):
    before = house.figure("striate_pictures_total"), house.figure("striate_pictures_refused_total")
    body, kind = form(("a", b"x"), ("b", png()), ("c", png()))
    house.predict(body, content_type=kind)
    after = house.figure("striate_pictures_total"), house.figure("striate_pictures_refused_total")
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)
