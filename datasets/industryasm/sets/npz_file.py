"""A published NPZ file, read as hostile input: headers are checked before an array is unpacked."""

from __future__ import annotations

import lzma
import zipfile
import zlib
from pathlib import Path

import numpy as np

from industryasm.regular_file import size_of_file
from industryasm.sets.set_error import SetError

MAX_ARRAY_BYTES = 512_000_000  # 2 hours at 30 Hz of 1,024 half-precision numbers: 442 MB

_DAMAGED = (
    ValueError,
    RuntimeError,  # an encrypted member, a method of packing that is not known
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)


class NpzFile:
    """An NPZ file whose arrays are unpacked one at a time; objects are refused.

    A header tells how much memory an array wants, so that a file of a few bytes could ask for
    terabytes: it must agree with the size in the archive, which is bounded.
    """

    def __init__(self, path: Path) -> None:
        """Read the headers; raise `SetError` for a file that is no NPZ of plain arrays."""
        self.path = path
        self._headers: dict[str, tuple[tuple[int, ...], np.dtype[np.generic]]] = {}
        try:
            size_of_file(path)  # a pipe would be waited for
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    self._read_header(archive, info)
        except OSError as error:
            raise SetError(f"{path}: cannot be read: {error.strerror or error}") from error
        except SetError:
            raise
        except _DAMAGED as error:
            raise SetError(f"{path}: is no whole NPZ file: {error}") from error

    def __contains__(self, name: object) -> bool:
        return name in self._headers

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays' names, in the order of the file."""
        return tuple(self._headers)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of an array, from its header."""
        return self._header(name)[0]

    def numbers(self, name: str, *, dims: int) -> np.ndarray:
        """Return an array of finite numbers with `dims` axes; raise `SetError` otherwise."""
        array = self._array(name, dims, kinds="fiu")
        if not np.isfinite(array).all():
            raise SetError(f"{self.path}: {name}: holds numbers that are not finite")
        return array

    def texts(self, name: str) -> list[str]:
        """Return an array of texts (N,); raise `SetError` when it is none."""
        array = self._array(name, 1, kinds="U")
        try:
            return [text.encode().decode() for text in array.tolist()]  # no halves of pairs
        except ValueError as error:
            raise SetError(f"{self.path}: {name}: holds what is no character: {error}") from error

    def _array(self, name: str, dims: int, *, kinds: str) -> np.ndarray:
        shape, dtype = self._header(name)
        if len(shape) != dims or dtype.kind not in kinds:
            wanted = "texts" if kinds == "U" else "numbers"
            raise SetError(
                f"{self.path}: {name}: is {dtype} {shape}, expected {wanted} with {dims} axes"
            )
        try:
            # NumPy leaves a file open that it opened itself and found to be no archive.
            with self.path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return np.asarray(arrays[name])
        except (OSError, *_DAMAGED) as error:
            raise SetError(f"{self.path}: {name}: is damaged: {error}") from error

    def _header(self, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
        if name not in self._headers:
            raise SetError(
                f"{self.path}: has no array {name!r}; it has {len(self._headers)} others"
            )
        return self._headers[name]

    def _read_header(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        name = info.filename.removesuffix(".npy")
        place = f"{self.path}: {name}"
        try:
            with archive.open(info) as file:
                version = np.lib.format.read_magic(file)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, _, dtype = read(file)
                header_bytes = file.tell()
        except (ValueError, KeyError, RuntimeError) as error:
            raise SetError(f"{place}: is no NumPy array: {error}") from error
        if dtype.hasobject:
            raise SetError(f"{place}: holds pickled objects, which are never loaded")
        size = dtype.itemsize
        for axis in shape:
            size *= axis  # Python's integers, which do not overflow
        if size > MAX_ARRAY_BYTES:
            raise SetError(f"{place}: {dtype} {shape} is more than {MAX_ARRAY_BYTES} bytes")
        if header_bytes + size != info.file_size:
            raise SetError(f"{place}: is truncated: {dtype} {shape} does not fit its {size} bytes")
        self._headers[name] = (shape, dtype)
