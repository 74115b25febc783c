"""Where the hub keeps the files of episodes: one protocol, in a folder or in a bucket (docs/operating.md)."""

from recorder.hub.store.folder import FolderStore
from recorder.hub.store.store import Store, StoredFile, StoreLostError, UnknownFileError

__all__ = ["FolderStore", "Store", "StoreLostError", "StoredFile", "UnknownFileError"]
