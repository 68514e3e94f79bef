"""A file for libraries that stall when a disk is full: they write into a pipe, and the disk is our affair."""

from __future__ import annotations

import os
import threading

CHUNK_BYTES = 1 << 20


class PipedFile:
    """Whatever is written to ``inlet``, a name to be opened once for writing, arrives in the file.

    path: of the file. The library never hears of an error; ``close`` tells it.
    """

    def __init__(self, path: str) -> None:
        self._file = open(path, "wb", buffering=0)
        self._outlet, self._writing_end = os.pipe()
        self.inlet = f"/dev/fd/{self._writing_end}"
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._copy, name="piped file", daemon=True)
        self._thread.start()

    def opened(self) -> None:
        """The library has opened the inlet: from now on its own end decides when the file is complete."""
        os.close(self._writing_end)

    def close(self) -> None:
        """Waits until the library has closed its end. Raises OSError when not everything could be written."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _copy(self) -> None:
        with self._file, open(self._outlet, "rb", buffering=0) as outlet:
            while data := outlet.read(CHUNK_BYTES):
                # After an error the pipe must go on being emptied: otherwise the library would wait for ever.
                while data and self._error is None:
                    try:
                        data = data[self._file.write(data):]
                    except OSError as error:
                        self._error = error
