"""The clock of a replay: play, pause, seek, speed, step (spec 9.4).

Pure: time is an argument, in ns of any monotonic clock. Pacing is absolute: window k is due at
``t0 + (k - k0) / speed`` seconds, where (t0, k0) was set by the last change. Sending late moves nothing, so
a replay of a whole day ends when it should.

    transport = Transport(windows=120, start=0, now_ns=0)
    while (k := transport.due(now)) is not None:
        send(k); transport.sent()

The position is the window the clock stands on: the one last sent, or the one that a start or a seek chose and
that is sent next.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

from data_eng.units import WINDOW_NS

MAX: Final = math.inf
"""speed of a client that takes windows as fast as it reads"""
MIN_SPEED: Final = 0.1
MAX_SPEED: Final = 1000.0


class TransportError(Exception):
    """A command that cannot be followed now; it changed nothing. `code` is the word for the client."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Transport:
    """State of one clock over the windows 0 .. windows - 1.

    start: the first window to send; `windows` means that nothing is left (a resume after the last one).
    Raises `TransportError` for a speed outside 0.1 .. 1000 that is not `MAX`.
    """

    def __init__(
        self, windows: int, start: int = 0, now_ns: int = 0, *, speed: float = 1.0, playing: bool = True
    ) -> None:
        if windows < 1 or not 0 <= start <= windows:
            raise ValueError(f"start is {start}, expected 0 to {windows} of at least one window")
        self.windows = windows
        self.playing = playing
        self.speed = checked_speed(speed)
        self._at = min(start, windows - 1)
        self._is_sent = start == windows
        self._steps = 0
        self._t0_ns = now_ns
        self._k0 = start

    @property
    def position(self) -> int:
        """The window the clock stands on."""
        return self._at

    @property
    def next_window(self) -> int | None:
        """The window sent next, None after the last one."""
        following = self._at + 1 if self._is_sent else self._at
        return following if following < self.windows else None

    @property
    def ended(self) -> bool:
        """The last window was sent and the clock still stands on it."""
        return self.next_window is None

    @property
    def stepping(self) -> bool:
        """Windows of a `step` are still to be sent."""
        return self._steps > 0

    def due_ns(self) -> int | None:
        """When the next window is due, None while nothing is (paused, or at the end).

        A window that is due at once, a step or at `MAX` speed, gives the time of the last change.
        """
        following = self.next_window
        if following is None:
            return None
        if self._steps:
            return self._t0_ns
        if not self.playing:
            return None
        return self.window_due_ns(following)

    def window_due_ns(self, window: int) -> int:
        """When `window` is due by the pacing alone, unless a command comes before it."""
        if self.speed == MAX:
            return self._t0_ns
        # exact: a day of floats would drift by some ns, and differ from its twin
        late = Fraction((window - self._k0) * WINDOW_NS) / Fraction(self.speed)
        return self._t0_ns + math.ceil(late)

    def due(self, now_ns: int) -> int | None:
        """The window to send at `now_ns`, None when it is too early for one."""
        at_ns = self.due_ns()
        return self.next_window if at_ns is not None and at_ns <= now_ns else None

    def sent(self) -> None:
        """The window that `due` named was sent."""
        following = self.next_window
        if following is None:
            raise ValueError("no window was due")
        self._at, self._is_sent = following, True
        self._steps = max(self._steps - 1, 0)

    # commands

    def play(self, now_ns: int) -> None:
        """Go on: the next window is due now. Playing already, nothing changes."""
        self._steps = 0
        if not self.playing:
            self.playing = True
            self._restart(now_ns)

    def pause(self, now_ns: int) -> None:
        """Stand still; steps that were not sent yet are dropped."""
        self.playing = False
        self._steps = 0
        self._restart(now_ns)

    def seek(self, window: int, now_ns: int) -> None:
        """Stand before `window`: it is sent next, now when playing. `TransportError` outside the day."""
        if not 0 <= window < self.windows:
            raise TransportError(
                "out_of_range",
                f"window {window} is outside the day, which has windows 0 to {self.windows - 1}",
            )
        self._steps = 0
        self._at, self._is_sent = window, False
        self._restart(now_ns)

    def set_speed(self, speed: float, now_ns: int) -> None:
        """Go at `speed` windows per second; the next is due 1/speed after now, if one was sent before."""
        self.speed = checked_speed(speed)
        self._t0_ns = now_ns
        self._k0 = self._at

    def step(self, windows: int, now_ns: int) -> None:
        """While paused: n >= 1 sends the next n windows, n <= -1 goes back n and sends the window reached.

        Both stop at the ends of the day. Raises `TransportError` while playing, for 0, and for a step past
        the last window.
        """
        if self.playing:
            raise TransportError("not_paused", "step works while paused; send pause first")
        if windows == 0:
            raise TransportError("bad_value", "windows is 0, expected 1 or more, or -1 or less")
        if windows > 0 and self.ended:
            raise TransportError("out_of_range", "the last window was sent; step back or seek")
        self._restart(now_ns)
        if windows < 0:
            self._at, self._is_sent = max(self._at + windows, 0), False
            self._steps = 1
        else:
            self._steps = min(self._steps + windows, self.windows - (self.next_window or 0))

    def _restart(self, now_ns: int) -> None:
        following = self.next_window
        self._t0_ns = now_ns
        self._k0 = self.windows if following is None else following


def checked_speed(speed: float) -> float:
    """`speed` when it can be one: 0.1 to 1000 windows per second, or `MAX`. Raises `TransportError`."""
    if speed != MAX and not MIN_SPEED <= speed <= MAX_SPEED:
        raise TransportError("bad_value", f"speed is {speed}, expected {MIN_SPEED} to {MAX_SPEED:.0f} or max")
    return speed
