import numpy as np
import pytest

from lumbargrade.errors import InputError
from lumbargrade.phantom.headers.choose import MIXED, PROFILES, draw_profile, name_shares, read_headers_choice


@pytest.mark.parametrize(
    ("choice", "shares"),
    [
        ("rsna2024", {"rsna2024": 1}),
        ("mix", MIXED),
        ("rsna2024=3, ge=1", {"rsna2024": 3, "ge": 1}),
        ({"ge": 1, "siemens": 0.5}, {"ge": 1, "siemens": 0.5}),
    ],
)
def test_a_choice_means_shares(choice: str | dict[str, float], shares: dict[str, float]) -> None:
    assert read_headers_choice(choice) == shares
    assert read_headers_choice(name_shares(shares)) == shares


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        ("simens", "phantom-headers-unknown"),
        ("", "phantom-headers-unknown"),
        ({}, "phantom-headers-unknown"),
        ("ge=much", "phantom-headers-share"),
        ("ge=0", "phantom-headers-share"),
        ({"ge": float("nan")}, "phantom-headers-share"),
    ],
)
def test_what_means_none_is_refused(choice: str | dict[str, float], code: str) -> None:
    with pytest.raises(InputError) as error:
        read_headers_choice(choice)
    assert error.value.code == code


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(InputError, match="did you mean siemens"):
        read_headers_choice("simens")


def test_the_mix_is_led_by_the_challenge_and_has_all_makers() -> None:
    assert max(MIXED, key=lambda name: MIXED[name]) == "rsna2024"
    assert MIXED.keys() == PROFILES.keys() - {"plain"}
    rng = np.random.default_rng(0)
    drawn = [draw_profile(MIXED, rng) for _ in range(400)]
    assert set(drawn) == MIXED.keys()
    assert 0.35 < drawn.count("rsna2024") / 400 < 0.55
