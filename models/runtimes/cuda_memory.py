"""Memory on an NVIDIA GPU and one stream, by the driver's own library: no CUDA package is needed.

Never run by its authors so far: written after the CUDA driver API's reference, on machines without
a GPU. The first use on one is its first test.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from models.card import ModelError
from models.runtimes.graph import RuntimeMissingError

LIBRARY = "libcuda.so.1"


class CudaStream:
    """The first GPU's primary context, and a stream in it."""

    def __init__(self) -> None:
        """Open the GPU; raise `RuntimeMissingError` when there is no driver or no GPU."""
        try:
            self._cuda = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise RuntimeMissingError(
                f"no NVIDIA GPU: {LIBRARY}, which comes with its driver, is not here"
            ) from error
        if result := self._cuda.cuInit(0):
            raise RuntimeMissingError(f"no NVIDIA GPU: the driver's cuInit gives error {result}")
        device, self._context, stream = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuDeviceGet", ctypes.byref(device), 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), device)
        self.enter()
        self._call("cuStreamCreate", ctypes.byref(stream), 0)
        self._stream = stream

    @property
    def handle(self) -> int:
        """The stream, as TensorRT wants it."""
        return int(self._stream.value or 0)

    def enter(self) -> None:
        """Make the GPU current in the calling thread."""
        self._call("cuCtxSetCurrent", self._context)

    def allocate(self, num_bytes: int) -> int:
        """Return the address of fresh memory, held until the process ends."""
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(num_bytes, 1)))
        return int(address.value)

    def send(self, array: np.ndarray, address: int) -> None:
        """Copy a C-contiguous array to the GPU."""
        size = ctypes.c_size_t(array.nbytes)
        self._call("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), _pointer(array), size, self)

    def fetch(self, address: int, array: np.ndarray) -> None:
        """Copy from the GPU into a C-contiguous array; complete after `wait`."""
        size = ctypes.c_size_t(array.nbytes)
        self._call("cuMemcpyDtoHAsync_v2", _pointer(array), ctypes.c_uint64(address), size, self)

    def wait(self) -> None:
        """Wait until everything asked for is done."""
        self._call("cuStreamSynchronize", self)

    @property
    def _as_parameter_(self) -> ctypes.c_void_p:
        return self._stream

    def _call(self, name: str, *arguments: Any) -> None:
        if result := getattr(self._cuda, name)(*arguments):
            raise ModelError(f"the GPU's driver: {name} gives error {result}")


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
