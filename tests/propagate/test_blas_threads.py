"""Matrix products round the same on any number of cores while a run is going on."""

from __future__ import annotations

import pytest

from vfx_matte import blas_threads


def test_one_thread_within_and_as_many_as_before_after_it() -> None:
    found = blas_threads._openblas()
    if found is None:
        pytest.skip("NumPy has no OpenBLAS of its own here")
    get, put = found
    usual = get()
    try:
        put(2)
        with blas_threads.one_blas_thread():
            assert get() == 1
        assert get() == 2
    finally:
        put(usual)


def test_another_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blas_threads, "_openblas", lambda: None)
    with blas_threads.one_blas_thread():
        pass
