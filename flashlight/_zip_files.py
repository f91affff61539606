"""The zip files that hold a pickle and the bytes of its storages.

Members are stored, not compressed, and begin at multiples of 64 bytes, so that a
reader may map them into memory.
"""

import io
import zipfile

ALIGNMENT = 64
_LOCAL_HEADER = 30  # bytes before a member's name
_ZIP64_FIELD = 20
_EXTRA_HEADER = 4

_CORRUPT = (
    "This is an internal miniz error. If you are seeing this error, there is a high "
    "likelihood that your checkpoint file is corrupted. This can happen if the "
    "checkpoint was not saved properly, was transferred incorrectly, or the file was "
    "modified after saving."
)


def is_zip(file):
    """Whether a file begins as a zip file does; its position stays."""
    start = file.tell()
    signature = b"PK\x03\x04"
    found = b""
    while len(found) < len(signature):
        more = file.read(len(signature) - len(found))
        if not more:
            break
        found += more
    file.seek(start)
    return found == signature


class _Stream:
    """A file that is only written to: what stood before in it is of no concern."""

    def __init__(self, file):
        self.file = file

    def write(self, data):
        self.file.write(data)
        return len(data)

    def flush(self):
        if hasattr(self.file, "flush"):
            self.file.flush()


class Writer:
    """Writes members below one folder."""

    def __init__(self, file, folder="archive"):
        self.folder = folder
        self.zip = zipfile.ZipFile(_Stream(file), "w", zipfile.ZIP_STORED)

    def write(self, name, data):
        info = zipfile.ZipInfo(f"{self.folder}/{name}")
        large = len(data) * 1.05 > zipfile.ZIP64_LIMIT
        header = _LOCAL_HEADER + len(info.filename.encode()) + _EXTRA_HEADER
        if large:
            header += _ZIP64_FIELD
        padding = -(self.zip.start_dir + header) % ALIGNMENT
        info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
        with self.zip.open(info, "w", force_zip64=large) as member:
            member.write(data)

    def close(self):
        self.write("version", b"3\n")
        self.zip.close()


class Reader:
    """Reads members by their names below the folder, with PyTorch's exceptions."""

    def __init__(self, file):
        try:
            start = file.tell()
            if start or not hasattr(file, "seekable"):
                file = _From(file, start)
            self.zip = zipfile.ZipFile(file)
            names = self.zip.namelist()
        except (zipfile.BadZipFile, ValueError, OverflowError, OSError) as error:
            raise RuntimeError(
                "PytorchStreamReader failed reading zip archive: failed finding "
                f"central directory ({error}). {_CORRUPT}"
            ) from None
        self.folder = names[0].partition("/")[0] if names else ""
        if not self.has("version"):
            raise RuntimeError(
                'Expected hasRecord("version") to be true, but got false.  (Could this '
                "error message be improved?)"
            )

    def has(self, name):
        return f"{self.folder}/{name}" in self.zip.NameToInfo

    def info(self, name):
        try:
            return self.zip.getinfo(f"{self.folder}/{name}")
        except KeyError:
            raise RuntimeError(
                f"PytorchStreamReader failed locating file {name}: file not found. "
                f"{_CORRUPT}"
            ) from None

    def read(self, name):
        info = self.info(name)
        try:
            return self.zip.read(info)
        except Exception as error:  # zipfile lets many kinds through
            raise RuntimeError(
                f"PytorchStreamReader failed reading file {name}: {error}. {_CORRUPT}"
            ) from None

    def read_bytes(self, name, count):
        """A member that must have that size: said before it is read."""
        size = self.info(name).file_size
        if size != count:
            raise RuntimeError(
                f"record size ({size} bytes) does not match expected size "
                f"({count} bytes = {count} elements * 1 bytes/element) for dtype Byte"
            )
        data = self.read(name)
        if len(data) != count:
            raise RuntimeError(
                f"PytorchStreamReader failed reading file {name}: {len(data)} bytes "
                f"of {count}. {_CORRUPT}"
            )
        return data

    def close(self):
        self.zip.close()


class _From(io.RawIOBase):
    """A file from a position on, as a file of its own."""

    def __init__(self, file, start):
        self.file, self.start = file, start

    def seekable(self):
        return True

    def readable(self):
        return True

    def tell(self):
        return self.file.tell() - self.start

    def seek(self, offset, whence=io.SEEK_SET):
        if whence == io.SEEK_SET:
            offset += self.start
        self.file.seek(offset, whence)
        return self.tell()

    def read(self, n=-1):
        return self.file.read(n)
