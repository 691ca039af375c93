"""How a kernel's loop becomes machine code."""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Loop = TypeVar("Loop", bound=Callable[..., object])


def compiled(loop: Loop) -> Loop:
    """Compile on the first call, keep the result beside the source, and leave the interpreter free.

    Strict IEEE arithmetic: fast-math would take the error terms of a compensated sum for zero. A
    compiled loop calls other loops of its own module only, because the cache looks at no other file
    for changes.
    """
    return cast(Loop, numba.njit(cache=True, nogil=True)(loop))
