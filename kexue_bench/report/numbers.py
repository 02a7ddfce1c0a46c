"""Numbers as text, with as many digits as their intervals support."""

from __future__ import annotations

import math

_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
_BYTES = ("B", "kB", "MB", "GB", "TB")
MOST_DIGITS = 6


def number(value: float, half_width: float | None = None) -> str:
    """A number with the digits that its interval supports.

    The last printed digit is the largest power of ten not above twice the half-width, so that rounding stays below the
    uncertainty; without an interval three digits, with a half-width of 0 (exact) up to six.
    """
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    last = last_place(value, half_width)
    # Rounding may carry into a new first digit: 99.97 with one decimal is 100.0.
    first = math.floor(math.log10(max(abs(round(value, -last)), 10.0**last)))
    if -3 <= first < 5:
        return f"{round(value, -last) + 0.0:.{max(-last, 0)}f}"
    mantissa, _, power = f"{round(value, -last):.{first - last}e}".partition("e")
    return f"{mantissa}e{int(power)}"


def last_place(value: float, half_width: float | None) -> int:
    """Power of ten of the last digit to print: at least one digit and at most six."""
    first = math.floor(math.log10(abs(value)))
    if half_width is None or not math.isfinite(half_width):
        return first - 2
    if half_width <= 0:
        digits = len(f"{abs(value):.{MOST_DIGITS - 1}e}".partition("e")[0].replace(".", "").rstrip("0"))
        last = first - max(digits, 1) + 1
        return min(last, 0) if -3 <= first < 5 else last
    return min(max(math.floor(math.log10(2 * half_width)), first - MOST_DIGITS + 1), first)


def upper(value: float) -> str:
    """An upper bound with one digit, rounded up so that it stays true."""
    if value <= 0 or not math.isfinite(value):
        return number(value)
    power = math.floor(math.log10(value))
    digit = math.ceil(round(value / 10.0**power, 9))
    return number(digit * 10.0**power, 0.0)


def percent(fraction: float) -> str:
    """A fraction in per cent with one or two digits: `0.3 %`, `2 %`, `15 %`."""
    value = 100 * fraction
    if 0 < value < 0.01:
        return "<0.01 %"
    if value < 10:
        text = f"{value:.1g}"
        return f"{float(text):g} %"
    return f"{value:.0f} %"


def spread(value: float, low: float | None, high: float | None, *, relative: bool) -> str:
    """`±2 %` for positive metrics, `±0.3` in the metric's own unit for others; empty without an interval.

    An interval that is wider than the value itself is shown by its ends, because `±` would be wrong on one side.
    """
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return ""
    half = (high - low) / 2
    if half <= 0:
        return ""
    if not relative:
        return "±" + number(half, half)
    if value > 0 and half < value:
        return "±" + percent(half / value)
    return f"[{number(low, half)}, {number(high, half)}]"


def seconds(value: float, half_width: float | None = None) -> str:
    """Seconds with an SI prefix: `1.93 µs`."""
    if not (math.isfinite(value) and value > 0):
        return f"{number(value)} s"
    scale, prefix = next((p for p in _PREFIXES if value >= 0.9995 * p[0]), _PREFIXES[-1])
    half = half_width / scale if half_width is not None else None
    shown = value / scale
    last = max(last_place(shown, half), math.floor(math.log10(float(f"{shown:.2e}"))) - 2)
    return f"{round(shown, -last):.{max(-last, 0)}f} {prefix}s"


def size(value: float) -> str:
    """Bytes: `832 B`, `1.6 MB`; decimal prefixes."""
    power = 0
    while value >= 999.5 and power < len(_BYTES) - 1:
        value, power = value / 1000, power + 1
    text = f"{value:.0f}" if power == 0 or value >= 99.5 else f"{value:.1f}".removesuffix(".0")
    return f"{text} {_BYTES[power]}"


def factor(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """A ratio: `×0.22`; two to four digits, so that the last one is no larger than the half-width of its interval.

    Where four do not suffice it has three, and two where there is no interval.
    """
    if not math.isfinite(value) or value <= 0:
        return "×" + number(value)
    return "×" + _placed(value, _ratio_place(value, low, high), scientific=_is_scientific(value))


def bracket(value: float, low: float, high: float) -> str:
    """The interval of a ratio, `[0.21, 0.23]`, ending at the digit at which `factor` ends.

    Empty if it does not exist, or if both ends would look alike: the interval lies within the last digit of the ratio.
    An end that would lose its first digit there keeps that one.
    """
    if not (math.isfinite(low) and math.isfinite(high) and high > low):
        return ""
    if not (math.isfinite(value) and value > 0):
        return f"[{number(low)}, {upper(high)}]"
    last, scientific = _ratio_place(value, low, high), _is_scientific(value)
    if high - low < 10.0**last:
        return ""
    ends = [_placed(end, last, scientific=scientific) for end in (low, high)]
    return f"[{', '.join(ends)}]" if ends[0] != ends[1] else ""


def _is_scientific(value: float) -> bool:
    return not -3 < math.floor(math.log10(value)) < 4


def _ratio_place(value: float, low: float, high: float) -> int:
    """Power of ten of the last digit of a ratio."""
    half = (high - low) / 2
    first = math.floor(math.log10(value))
    if not math.isfinite(half):
        return first - 1
    last = math.floor(math.log10(half) + 1e-9) if half > 0 else first - 4
    return min(last, first - 1) if last >= first - 3 else first - 2


def _placed(value: float, last: int, *, scientific: bool) -> str:
    """A number that ends at the digit 10^last, or at its own first digit if that is smaller."""
    if value <= 0:
        return number(value, 0.0)
    last = min(last, math.floor(math.log10(value)))
    # Rounding may carry into a new first digit.
    first = math.floor(math.log10(max(round(value, -last), 10.0**last)))
    if not scientific and -4 < first < 5:
        return f"{round(value, -last):.{max(-last, 0)}f}"
    # An end that is many orders above the ratio keeps two digits.
    digits, shown = (first - last, round(value, -last)) if first - last < 5 else (1, value)
    mantissa, _, power = f"{shown:.{digits}e}".partition("e")
    return f"{mantissa}e{int(power)}"
