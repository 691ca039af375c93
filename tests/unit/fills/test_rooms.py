"""Memory comes back when nobody holds what was made of it, and never before."""

import numpy as np
import pyarrow as pa

from ticklake.fills.rooms import Rooms

INTEGERS = np.dtype(np.int64)


def test_memory_is_lent_again_when_the_last_holder_lets_go() -> None:
    rooms = Rooms()
    lent = rooms.empty(100, INTEGERS)
    place = lent.ctypes.data
    column = pa.Array.from_buffers(pa.int64(), 100, [None, pa.py_buffer(lent)])
    part = column.slice(10, 5)
    del lent, column
    assert rooms.empty(100, INTEGERS).ctypes.data != place
    del part
    assert rooms.empty(90, INTEGERS).ctypes.data == place


def test_a_view_keeps_memory() -> None:
    rooms = Rooms()
    view = rooms.empty(8, INTEGERS).reshape(-1, 2)[1:]
    view[:] = 7
    rooms.empty(8, INTEGERS)[:] = 1
    assert (view == 7).all()


def test_nothing_needs_no_memory() -> None:
    assert len(Rooms().empty(0, INTEGERS)) == 0
