import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexue_bench.report import numbers


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (3.12e-7, 0.06e-7, "3.1e-7"),
        (3.12e-7, 0.03e-7, "3.12e-7"),
        (0.021, 2e-4, "0.0210"),
        (1548.26713762114, 0.0, "1548.27"),
        (2.0, 0.0, "2"),
        (1024.0, 0.0, "1024"),
        (99.97, 0.4, "100.0"),
        (-103.94, 0.3, "-103.9"),
        (5.0, 20.0, "5"),
        (123456.0, 300.0, "1.235e5"),
        (0.5, None, "0.500"),
        (0.0, 1.0, "0"),
        (math.inf, None, "∞"),
        (math.nan, None, "-"),
    ],
)
def test_a_number_ends_where_its_interval_begins(value, half, text):
    """The last digit is the largest power of ten not above twice the half-width; exact values keep up to six digits."""
    assert numbers.number(value, half) == text


@given(st.floats(1e-12, 1e12), st.floats(1e-5, 0.9))
def test_rounding_stays_below_the_uncertainty(value, relative):
    """What is printed lies within the half-width of the value (up to the limit of six digits)."""
    half = value * relative
    assert abs(float(numbers.number(value, half)) - value) <= half * (1 + 1e-9)


@given(st.floats(1e-12, 1e12))
def test_an_upper_bound_is_rounded_up(value):
    """A printed bound is never below the bound (up to the nine digits that decide whether it is round already)."""
    assert float(numbers.upper(value)) >= value * (1 - 1e-8)
    assert float(numbers.upper(value)) <= 2.0001 * value


@pytest.mark.parametrize(
    ("seconds", "half", "text"),
    [
        (1.93e-6, 1e-8, "1.93 µs"),
        (9.996e-4, 1e-7, "1.00 ms"),
        (0.0834, 0.004, "83 ms"),
        (12.0, 0.3, "12.0 s"),
        (3e-10, None, "300 ps"),
    ],
)
def test_seconds_carry_si_prefixes(seconds, half, text):
    """One to three digits before the prefix takes over."""
    assert numbers.seconds(seconds, half) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (832, "832 B"), (1600, "1.6 kB"), (2e6, "2 MB"), (999_600, "1 MB"), (1.23e8, "123 MB")],
)
def test_sizes_are_decimal(size, text):
    """A kilobyte, kB, is a thousand bytes."""
    assert numbers.size(size) == text


@pytest.mark.parametrize(
    ("fraction", "text"), [(0.0034, "0.3 %"), (0.02, "2 %"), (0.096, "10 %"), (0.15, "15 %"), (1e-6, "<0.01 %")]
)
def test_per_cents_have_one_or_two_digits(fraction, text):
    """An uncertainty needs no more."""
    assert numbers.percent(fraction) == text


def test_a_spread_wider_than_its_value_shows_its_ends():
    """`±` would claim a side that cannot be; a missing interval shows nothing."""
    assert numbers.spread(1.0, 0.98, 1.02, relative=True) == "±2 %"
    assert numbers.spread(1.0, 0.1, 9.0, relative=True) == "[0.1, 9]"
    assert numbers.spread(-104.0, -104.3, -103.7, relative=False) == "±0.3"
    assert not numbers.spread(1.0, None, None, relative=True)


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.2214, 0.21, 0.23, "×0.22"),
        (1.0012, 0.99, 1.012, "×1.00"),
        (290.0, 280.0, 300.0, "×290"),
        (0.0, 0.0, 0.0, "×0"),
        (1e-9, 0.99e-9, 1.01e-9, "×1.00e-9"),
        (math.inf, math.inf, math.inf, "×∞"),
    ],
)
def test_ratios_have_two_or_three_digits(value, low, high, text):
    """As many as their interval supports."""
    assert numbers.factor(value, low, high) == text


def test_the_ends_of_an_interval_are_told_apart():
    """With the digits that their distance supports; nothing where there is no interval."""
    assert numbers.bracket(0.22, 0.21, 0.23) == "[0.21, 0.23]"
    assert numbers.bracket(1.0, 1.0, 1.0) == ""
    assert numbers.bracket(1.0, math.nan, 2.0) == ""


@given(st.floats(1e-9, 1e9), st.floats(1e-6, 0.5))
def test_a_ratio_and_its_interval_end_at_the_same_digit(value, relative):
    """Ends that would look alike are left out; the others round what they stand for to the last place of the ratio."""
    low, high = value * (1 - relative), value * (1 + relative)
    shown, ends = numbers.factor(value, low, high)[1:], numbers.bracket(value, low, high)
    printed = ends[1:-1].split(", ") if ends else []
    for text, end in zip(printed, (low, high), strict=False):
        assert abs(float(text) - end) <= 0.51 * max(place(shown), value * relative)
        assert place(text) == pytest.approx(place(shown))
    assert len(set(map(float, printed))) == len(printed)


def place(text):
    """The power of ten of the last decimal of a printed number."""
    mantissa, _, power = text.partition("e")
    return 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))


def test_an_end_that_carries_keeps_its_last_place():
    """9.95e8 to the nearest ten millions is 1.00e9, not 9.95e8."""
    assert numbers.bracket(731954023.0, 468908045.98, 995000000.02) == "[4.7e8, 1.00e9]"
    assert numbers.number(995000000.02, 5e6) == "1.00e9"


def test_an_interval_inside_the_last_digit_is_left_out():
    """`×1.65e-3 [0.00164553, 0.00164553]` would give two precisions for one number."""
    assert (
        numbers.factor(1.64553e-3, 1.64553e-3, 1.645531e-3),
        numbers.bracket(1.64553e-3, 1.64553e-3, 1.645531e-3),
    ) == (
        "×1.65e-3",
        "",
    )
    assert numbers.bracket(1525.0, 1524.997, 1525.003) == ""
    assert numbers.bracket(0.0, 0.0, 2.3e-14) == "[0, 3e-14]"
    assert numbers.bracket(1.1, 0.04, 3.0) == "[0.04, 3.0]"


def test_what_has_no_digits_is_a_sign():
    """Infinities, a bound that is none, and what is below a hundredth of a per cent."""
    assert (numbers.number(-math.inf), numbers.number(math.inf)) == ("-∞", "∞")
    assert (numbers.upper(0.0), numbers.upper(math.inf)) == ("0", "∞")
    assert numbers.spread(1.0, 1.0, 1.0, relative=True) == ""
    assert numbers.spread(1.0, -math.inf, 1.0, relative=True) == ""
    assert numbers.seconds(0.0) == "0 s"
