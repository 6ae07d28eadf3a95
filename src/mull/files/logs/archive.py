"""Reads untrusted zip archives: unpacks one member at a time, within limits on its size."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mull.errors import FileFormatError, MissingExtraError
from mull.files.opening import MOST_RATIO, most_bytes

MOST_BYTES = 512 << 20
"""Members that unpack to more bytes are refused."""
ZSTD = 93
LOCAL_HEADER = struct.Struct("<26xHH")
"""The lengths of the name and of the extra field in a zip member's own header; its data follow these."""


class Archive:
    """An open zip archive; errors name the member."""

    def __init__(self, path: Path, file: zipfile.ZipFile) -> None:
        self.path = path
        self._file = file
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self.n_repeated = 0
        for info in file.infolist():
            self.n_repeated += info.filename in self._infos
            self._infos[info.filename] = info
        size = path.stat().st_size
        packed = sum(info.compress_size for info in self._infos.values())
        unpacked = sum(info.file_size for info in self._infos.values())
        if packed > size:
            raise FileFormatError(path, None, f"its members claim {packed:,} bytes of a file of {size:,}: they overlap")
        if unpacked > most_bytes(path):
            raise FileFormatError(
                path, None, f"{size:,} bytes that unpack to {unpacked:,} are no log: over {MOST_RATIO} times as much"
            )

    def names(self) -> Iterator[str]:
        """The names of all members, in the order in which they were written."""
        return iter(self._infos)

    def read(self, name: str) -> bytes:
        """A member's bytes. Raises `FileFormatError` with its name if it is broken or larger than declared."""
        info = self._infos[name]
        if info.file_size > MOST_BYTES:
            raise FileFormatError(self.path, None, f"{name} unpacks to {info.file_size:,} bytes: over {MOST_BYTES:,}")
        try:
            content = self._unzstd(info) if info.compress_type == ZSTD else self._file.read(info)
        except NotImplementedError as error:
            raise FileFormatError(self.path, None, f"{name} is compressed by an unknown method: {error}") from error
        except (zipfile.BadZipFile, OSError, EOFError, zlib.error, RuntimeError, struct.error) as error:
            raise FileFormatError(self.path, None, f"{name} is broken: {error}") from error
        if len(content) != info.file_size:
            what = "more" if len(content) > info.file_size else f"{len(content):,}"
            raise FileFormatError(self.path, None, f"{name} unpacks to {what}, not to the {info.file_size:,} it says")
        if zlib.crc32(content) != info.CRC:
            raise FileFormatError(self.path, None, f"{name} is broken: its checksum is wrong")
        return content

    def _unzstd(self, info: zipfile.ZipInfo) -> bytes:
        """A member compressed with Zstandard, which zipfile supports from Python 3.14 on; pyarrow reads it here."""
        try:
            import pyarrow as pa
        except ImportError:
            raise MissingExtraError(f"{self.path}: Zstandard", "pyarrow", "lab") from None
        assert self._file.fp is not None
        self._file.fp.seek(info.header_offset)
        n_name, n_extra = LOCAL_HEADER.unpack(self._file.fp.read(LOCAL_HEADER.size))
        self._file.fp.seek(n_name + n_extra, io.SEEK_CUR)
        packed = self._file.fp.read(info.compress_size)
        try:
            with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
                return bytes(stream.read(info.file_size + 1))
        except pa.ArrowException as error:
            raise FileFormatError(self.path, None, f"{info.filename} is broken: {error}") from error


@contextmanager
def opened(path: Path, what: str) -> Iterator[Archive]:
    """Opens a zip archive that should be `what`.

    Raises `FileFormatError` if it is not a zip archive or unpacks to too many bytes.
    """
    try:
        with zipfile.ZipFile(path) as file:
            yield Archive(path, file)
    except (OSError, zipfile.BadZipFile) as error:
        raise FileFormatError(path, None, f"cannot be read as {what}: {error}") from error
