"""One move of traffic: the file, the update, the read-back, and what becomes of the file when it fails."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from abtest.rollout.edit import EditError
from abtest.rollout.engine import EngineError, RefusedError
from abtest.rollout.move import MoveError, MoveRefusedError, besides, deployed_weights, move
from abtest.rollout.stack_file import StackFile
from abtest.routing import shares_of
from tests.rollout.fake_engine import Stand

QUARTER: dict[tuple[str, ...], Any] = {("abtest:weights",): {"a": 75, "b": 25}}


def moved(stand: Stand, before: StackFile | None = None) -> list[str]:
    said: list[str] = []
    before = before or stand.file
    move(stand.deployed, before, before.edited(QUARTER), stand.live, "a test", said.append)
    return said


def test_a_move_edits_the_file_and_reads_the_load_balancer_back(stand: Stand) -> None:
    before = stand.path.read_text()
    moved(stand)
    assert stand.split == "a 75 %, b 25 %"
    assert stand.path.read_text() == before.replace("{a: 90, b: 10}", "{a: 75, b: 25}")
    assert [update.message for update in stand.engine.updates] == ["a test"]


def test_a_refused_update_leaves_the_file_byte_for_byte(stand: Stand) -> None:
    stand.path.write_bytes(stand.path.read_bytes().replace(b"\n", b"\r\n"))
    before = stand.path.read_bytes()
    stand.engine.fails = [(False, RefusedError("the guard refuses this update"))]
    with pytest.raises(MoveRefusedError) as caught:
        moved(stand)
    assert str(caught.value) == (
        f"the guard refuses this update\nthe load balancer and {stand.file.label} are as before"
    )
    assert stand.path.read_bytes() == before
    assert stand.split == "a 90 %, b 10 %"


def test_an_update_that_was_half_made_keeps_the_file(stand: Stand) -> None:
    stand.engine.fails = [(True, EngineError("throttled"))]
    with pytest.raises(MoveError, match=r"a part of the update was made; .* keeps the change; run this again"):
        moved(stand)
    assert "{a: 75, b: 25}" in stand.path.read_text()


def test_a_file_that_somebody_edited_meanwhile_is_not_written_over(stand: Stand) -> None:
    before = stand.file
    stand.path.write_text(stand.path.read_text() + "# mine\n")
    with pytest.raises(MoveError, match="was edited in the meantime, so it was not changed; run this again"):
        moved(stand, before)
    assert stand.path.read_text().endswith("# mine\n")
    assert stand.engine.updates == []


def test_what_the_engine_took_for_done_is_done_after_a_refresh(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update that was cut off may have reached AWS without being on record, or the other way round."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    stand.engine.is_behind = True
    said = moved(stand)
    assert stand.engine.refreshed == 1
    assert said == [
        "the load balancer does not do what the engine has on record; the engine looks at what is there",
        "listener-80: update …",
    ]
    assert stand.split == "a 75 %, b 25 %"


def test_a_load_balancer_that_does_something_else_is_an_error_that_names_it(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand.engine, "_apply", lambda _: None)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(MoveError) as caught:
        moved(stand)
    assert "- default: the load balancer sends a 90 %, b 10 %, the stack file says a 75 %, b 25 %" in str(caught.value)


def test_what_differed_before_in_another_rule_is_no_failure_of_this_move(stand: Stand) -> None:
    listener = stand.deployed.listener_arn
    rule = next(r for r in stand.elbv2.describe_rules(ListenerArn=listener)["Rules"] if r["Priority"] == "30")
    changed = [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/mine"]}}]
    stand.elbv2.modify_rule(RuleArn=rule["RuleArn"], Conditions=changed)
    try:
        assert [line[:18] for line in besides(stand.file.experiment, stand.live)] == ["rule 30 (query-b):"]
        moved(stand)
        assert stand.split == "a 75 %, b 25 %"
    finally:
        stand.elbv2.modify_rule(RuleArn=rule["RuleArn"], Conditions=rule["Conditions"])


def test_a_split_that_is_ahead_of_the_load_balancer_is_no_other_difference(stand: Stand) -> None:
    ahead = stand.file.edited(QUARTER)
    assert besides(ahead.experiment, stand.live) == ()


def test_clients_that_are_sent_to_somebody_elses_group_are_another_difference(stand: Stand) -> None:
    listener = stand.deployed.listener_arn
    own = stand.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"]
    group = stand.elbv2.create_target_group(Name="theirs", TargetType="lambda")["TargetGroups"][0]
    theirs = [{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}]
    stand.elbv2.modify_listener(ListenerArn=listener, DefaultActions=theirs)
    try:
        line = besides(stand.file.experiment, stand.live)[0]
        assert line.startswith("default: the load balancer sends arn:")
    finally:
        stand.elbv2.modify_listener(ListenerArn=listener, DefaultActions=own)
        stand.elbv2.delete_target_group(TargetGroupArn=group["TargetGroupArn"])


def test_deployed_weights_are_the_shares(stand: Stand) -> None:
    stand.set_weights(a=50, b=25)
    assert deployed_weights(stand.live) == {"a": 2, "b": 1}
    assert shares_of(deployed_weights(stand.live)) == shares_of(stand.file.experiment.weights)


# The file -------------------------------------------------------------------------------------------------------------


def test_a_file_keeps_its_mode_and_leaves_nothing_beside_it(stand: Stand) -> None:
    stand.path.chmod(0o640)
    stand.file.edited(QUARTER).write(over=stand.file)
    assert stat.S_IMODE(stand.path.stat().st_mode) == 0o640
    assert [each.name for each in stand.path.parent.iterdir() if each.name.startswith(".Pulumi")] == []


def test_a_file_behind_a_link_is_written_where_it_is(stand: Stand, tmp_path: Path) -> None:
    for name in ("Pulumi.yaml",):
        (tmp_path / name).write_bytes((stand.path.parent / name).read_bytes())
    link = tmp_path / "Pulumi.dev.yaml"
    link.symlink_to(stand.path)
    linked = StackFile.read(str(link))
    linked.edited(QUARTER).write(over=linked)
    assert link.is_symlink()
    assert "{a: 75, b: 25}" in stand.path.read_text()


def hard_links(path: Path, _: pytest.MonkeyPatch) -> None:
    (path.parent / "twin").hardlink_to(path)


@pytest.fixture(autouse=True)
def _without_a_twin(stand: Stand) -> Iterator[None]:
    """The folder is shared by the tests of a module."""
    yield
    (stand.path.parent / "twin").unlink(missing_ok=True)


def owner(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new file has another owner, who cannot give it away."""

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.chown", refused)
    if os.getuid() == 0:
        make = tempfile.mkstemp

        def of_nobody(*args: Any, **options: Any) -> tuple[int, str]:
            handle, name = make(*args, **options)
            os.fchown(handle, 65534, 65534)
            return handle, name

        monkeypatch.setattr("tempfile.mkstemp", of_nobody)
    else:
        monkeypatch.setattr("abtest.rollout.stack_file.StackFile._replace", lambda *_: False)


def folder(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.mkstemp", refused)


@pytest.mark.parametrize("obstacle", [hard_links, owner, folder], ids=["hard links", "owner", "folder"])
def test_a_file_that_cannot_be_replaced_is_overwritten_in_place(
    obstacle: Callable[[Path, pytest.MonkeyPatch], None], stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, status = stand.path.read_text(), stand.path.stat()
    file = stand.file
    obstacle(stand.path, monkeypatch)
    file.edited(QUARTER).write(over=file)
    now = stand.path.stat()
    assert (now.st_ino, now.st_uid, now.st_gid, now.st_mode) == (
        status.st_ino,
        status.st_uid,
        status.st_gid,
        status.st_mode,
    )
    assert stand.path.read_text() == before.replace("{a: 90, b: 10}", "{a: 75, b: 25}")
    assert [each.name for each in stand.path.parent.iterdir() if each.name.startswith(".Pulumi")] == []


def test_an_overwrite_that_fails_puts_the_file_back(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    before, file, calls = stand.path.read_bytes(), stand.file, iter(["full", "fine"])
    hard_links(stand.path, monkeypatch)

    def sync(_: int) -> None:
        if next(calls) == "full":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", sync)
    with pytest.raises(EditError, match="cannot be written: No space left on device"):
        file.edited(QUARTER).write(over=file)
    assert stand.path.read_bytes() == before


def test_a_read_only_file_is_not_written(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stand.path.read_bytes()
    monkeypatch.setattr("abtest.rollout.stack_file.os.access", lambda *_: True)  # as for root
    stand.path.chmod(0o444)
    with pytest.raises(EditError, match=r"Pulumi.dev.yaml is read-only, so it was not changed; allow it: chmod u\+w "):
        stand.file.edited(QUARTER).write(over=stand.file)
    stand.path.chmod(0o644)
    assert stand.path.read_bytes() == before
    assert stand.engine.updates == []


@pytest.mark.parametrize("by_name", [False, True], ids=["in place", "by another file"])
def test_an_edit_while_the_new_file_is_made_is_kept(
    by_name: bool,  # noqa: FBT001 a case
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, mine = stand.file, stand.path.read_text() + "# mine\n"

    def edit(_: int) -> None:
        if by_name:
            (stand.path.parent / "new").write_text(mine)
            (stand.path.parent / "new").replace(stand.path)
        else:
            stand.path.write_text(mine)

    monkeypatch.setattr("os.fsync", edit)
    with pytest.raises(MoveError, match="was edited in the meantime, so it was not changed"):
        moved(stand, file)
    assert stand.path.read_text() == mine
    assert stand.engine.updates == []


def test_a_file_keeps_its_access_lists(stand: Stand) -> None:
    try:
        os.setxattr(stand.path, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    stand.file.edited(QUARTER).write(over=stand.file)
    assert os.getxattr(stand.path, "user.note") == b"kept"


def test_a_file_that_cannot_be_written_keeps_what_it_had(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stand.path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EditError, match=r"Pulumi.dev.yaml cannot be written: No space left on device"):
        stand.file.edited(QUARTER).write(over=stand.file)
    assert stand.path.read_bytes() == before
    assert [each.name for each in stand.path.parent.iterdir() if each.name.startswith(".Pulumi")] == []
