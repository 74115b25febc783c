"""What every store promises (`recorder/hub/store/store.py`), as tests that each kind of store inherits."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recorder.file.layout import EpisodeIdError
from recorder.hub.store import Store, UnknownFileError
from recorder.hub.store.store import BLOCK_BYTES, blocks, read_whole

RECORDING = b"a recording" * 150_000


def recorded(folder: Path, data: bytes = RECORDING) -> Path:
    """Return a file that is about to be moved in."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    return path


class StoreContract:
    """A subclass has a fixture `store`, and says how many bytes of recordings are really kept."""

    def kept_bytes(self, store: Store) -> int:
        """Return how many bytes of recordings are kept, those that two episodes share once."""
        raise NotImplementedError

    def test_what_was_moved_in_is_given_out_whole_by_ranges_and_as_a_file(self, store: Store, tmp_path: Path) -> None:
        source = recorded(tmp_path / "in")
        store.adopt("episode-1", "episode.h5", source)

        file = store.file("episode-1", "episode.h5")
        assert not source.exists()
        assert (file.size, file.sha256) == (len(RECORDING), hashlib.sha256(RECORDING).hexdigest())
        assert read_whole(file) == b"".join(blocks(file, 0, file.size)) == RECORDING
        assert file.read(BLOCK_BYTES - 3, BLOCK_BYTES + 4) == RECORDING[BLOCK_BYTES - 3 : BLOCK_BYTES + 4]
        with file.local() as path:
            assert path.read_bytes() == RECORDING
        assert store.path("episode-1", "episode.h5").read_bytes() == RECORDING

    def test_a_file_comes_in_once_even_if_that_is_repeated(self, store: Store, tmp_path: Path) -> None:
        store.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
        store.adopt("episode-1", "episode.h5", tmp_path / "in" / "gone")
        store.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))

        assert read_whole(store.file("episode-1", "episode.h5")) == RECORDING
        assert self.kept_bytes(store) == len(RECORDING)

    def test_a_document_takes_the_place_of_the_one_before(self, store: Store) -> None:
        store.write("episode-1", "signatures.json", b"one")
        store.write("episode-1", "signatures.json", b"both")

        assert read_whole(store.file("episode-1", "signatures.json")) == b"both"

    def test_what_two_episodes_share_is_kept_once_and_erased_with_the_second(
        self, store: Store, tmp_path: Path
    ) -> None:
        for episode in ("episode-1", "episode-2"):
            store.adopt(episode, "episode.h5", recorded(tmp_path / episode))
        assert self.kept_bytes(store) == len(RECORDING)

        store.erase("episode-1")
        store.erase("episode-1")
        assert not store.has("episode-1", "episode.h5")
        assert read_whole(store.file("episode-2", "episode.h5")) == RECORDING

        store.erase("episode-2")
        assert self.kept_bytes(store) == 0

    def test_a_third_that_comes_while_the_first_is_erased_has_its_bytes(self, store: Store, tmp_path: Path) -> None:
        store.adopt("first", "episode.h5", recorded(tmp_path / "first"))
        sources = [recorded(tmp_path / f"other-{number}") for number in range(8)]
        with ThreadPoolExecutor(4) as threads:
            erased = threads.submit(store.erase, "first")
            coming = [
                threads.submit(store.adopt, f"other-{number}", "episode.h5", source)
                for number, source in enumerate(sources)
            ]
            for one in (erased, *coming):
                one.result()

        for number in range(8):
            assert read_whole(store.file(f"other-{number}", "episode.h5")) == RECORDING
            store.erase(f"other-{number}")
        store.sweep()
        assert self.kept_bytes(store) == 0

    def test_another_recording_in_the_same_place_leaves_nothing_behind(self, store: Store, tmp_path: Path) -> None:
        store.adopt("episode-1", "episode.h5", recorded(tmp_path / "in"))
        store.adopt("episode-1", "episode.h5", recorded(tmp_path / "in", b"another"))

        assert read_whole(store.file("episode-1", "episode.h5")) == b"another"
        assert self.kept_bytes(store) == len(b"another")

    def test_an_empty_file_is_a_file(self, store: Store) -> None:
        store.write("episode-1", "manifest.json", b"")

        assert store.has("episode-1", "manifest.json")
        assert read_whole(store.file("episode-1", "manifest.json")) == b""

    def test_what_is_not_there_is_named(self, store: Store) -> None:
        assert not store.has("episode-1", "episode.h5")
        for ask in (store.file, store.path):
            with pytest.raises(UnknownFileError, match=r"episode-1 has no episode\.h5 yet"):
                ask("episode-1", "episode.h5")
        store.erase("episode-1")

    @pytest.mark.parametrize("name", ["../episode.h5", "notes.txt", "", "episode.h5.sha256"])
    def test_no_name_leads_elsewhere(self, store: Store, name: str) -> None:
        for ask in (store.file, store.path, store.has, lambda *at: store.write(*at, b"x")):
            with pytest.raises(UnknownFileError, match="expected one of"):
                ask("episode-1", name)

    @pytest.mark.parametrize("episode", ["../other", ".objects", "a/b", ""])
    def test_no_id_leads_elsewhere(self, store: Store, episode: str) -> None:
        for ask in (store.file, store.path, store.has, lambda *at: store.write(*at, b"x")):
            with pytest.raises(EpisodeIdError):
                ask(episode, "episode.h5")
        with pytest.raises(EpisodeIdError):
            store.erase(episode)
