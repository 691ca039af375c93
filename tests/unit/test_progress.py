"""What a long build says of itself."""

import io

import pytest

from ticklake.lake.progress import WIDTH, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_has_one_line_that_is_written_anew_and_cleared_at_the_end() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock)
    progress.expect(4)
    clock.now += 10
    progress.add(1, 5_000)
    progress.expect(4)  # of another model
    clock.now += 10
    progress.add(1, 5_000)
    clock.now += 0.1  # too soon to write again
    progress.add(1, 5_000)
    progress.add(5, 0)
    assert [line.rstrip() for line in stream.getvalue().split("\r")] == [
        "1 of 4 units, 5,000 rows, 500 a second, 30 s left",
        "2 of 8 units, 10,000 rows, 500 a second, 60 s left",
        "",
        "",
    ]
    assert {len(line) for line in stream.getvalue().split("\r")[:-1]} == {WIDTH}


def test_elsewhere_a_long_build_has_a_line_now_and_then_and_a_short_one_has_none() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock)
    progress.expect(2)
    progress.add(2, 7)
    assert stream.getvalue() == ""
    progress.expect(100)
    for _ in range(10):
        clock.now += 8
        progress.add(1, 1_000)
    assert stream.getvalue().splitlines() == [
        "4 of 100 units, 4,000 rows, 125 a second, 13 min left",
        "8 of 100 units, 8,000 rows, 125 a second, 12 min left",
    ]


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_nothing_is_divided_by_zero(stream: io.StringIO) -> None:
    clock = Clock()
    progress = Progress(stream, clock)
    progress.add(0, 0)
    clock.now += 60
    progress.expect(1)
    progress.add(0, 0)
    assert "inf" not in stream.getvalue()
