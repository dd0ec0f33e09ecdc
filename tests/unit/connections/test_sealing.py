"""Secrets at rest: nothing of them shows, and only their own row and key open them."""

import base64
import os
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.connections.sealing import SealingBox
from tidewell.errors import TidewellError
from tidewell.settings import Settings

ROW = UUID(int=7)
BOX = SealingBox([bytes(32)])


@given(st.text(st.characters(blacklist_categories=["Cs"])))
def test_what_is_sealed_opens_again(secret: str) -> None:
    assert BOX.open(BOX.seal(secret, ROW), ROW) == secret


def test_two_seals_of_one_secret_differ_and_show_nothing_of_it() -> None:
    first, second = BOX.seal("hush hush hush", ROW), BOX.seal("hush hush hush", ROW)
    assert first != second
    assert b"hush" not in base64.urlsafe_b64decode(first.split(".")[2])


def test_another_row_another_key_or_a_changed_byte_does_not_open() -> None:
    sealed = BOX.seal("hush", ROW)
    version, key_id, text = sealed.split(".")
    data = bytearray(base64.urlsafe_b64decode(text))
    data[-1] ^= 1
    changed = f"{version}.{key_id}.{base64.urlsafe_b64encode(bytes(data)).decode()}"
    for box, seal, row in [
        (BOX, sealed, uuid4()),
        (SealingBox([b"1" * 32]), sealed, ROW),
        (BOX, changed, ROW),
        (BOX, "", ROW),
        (BOX, "tw1.x.y", ROW),
        (BOX, sealed[:-8], ROW),
    ]:
        with pytest.raises(TidewellError, match="TIDEWELL_SECRET_KEY"):
            box.open(seal, row)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    sealed = SealingBox.from_settings(settings).seal("hush", ROW)
    kept = tmp_path / "home" / "secret.key"
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["secret.key"]
    assert SealingBox.from_settings(settings).open(sealed, ROW) == "hush"


@pytest.mark.parametrize("key", ["a long enough phrase", "ab" * 32, "A" * 43 + "="])
def test_a_given_key_is_taken_as_it_is(tmp_path: Path, key: str) -> None:
    settings = Settings.model_validate({"home": tmp_path, "secret_key": key})
    sealed = SealingBox.from_settings(settings).seal("hush", ROW)
    assert SealingBox.from_settings(settings).open(sealed, ROW) == "hush"
    assert list(tmp_path.iterdir()) == []


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": tmp_path, "secret_key": "too short"})
    with pytest.raises(TidewellError, match="openssl rand") as caught:
        SealingBox.from_settings(settings)
    assert "too short:" in caught.value.message
