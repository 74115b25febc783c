"""A robot as the world publishes it becomes one of ours, looks as it was made, and what it did not say is said."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.bring.add import RobotNameError, Wishes, bring, name_of
from sim.bring.parts import UnlikeAnArmError
from sim.bring.portrait import portrait
from sim.bring.promises import broken
from sim.bring.shapes import MeshesError
from sim.bring.source import SourceError, read_source
from sim.model.urdf import UrdfMissingError, UrdfSyntaxError, read_urdf
from sim.own import FILE, OwnRobot, OwnRobotError, read, write
from sim.physics.bullet import new_client
from sim.pictures.mesh import linear
from sim.pictures.visuals import make
from sim.rotation import rotate
from tests.sim.bring.packages import (
    FINGERS,
    FULL,
    GREEN,
    JAWS,
    JOINTS,
    LINKS,
    RED,
    WHOLE,
    crane,
    dae,
    joint,
    link,
    robot,
)


def brought(urdf: Path, folder: Path, **wishes: object) -> OwnRobot:
    folder.mkdir(parents=True)
    return bring(urdf, folder, Wishes(**wishes))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the whole arm, once it was added."""
    place = tmp_path_factory.mktemp("brought")
    brought(crane(place), place / "crane")
    return place / "crane"


def test_it_keeps_the_contract_of_every_robot(kept):
    assert broken(kept) == {}


def test_the_contract_says_what_an_added_robot_breaks(kept, tmp_path):
    lame = shutil.copytree(kept, tmp_path / "crane")
    robot = read(kept)
    home_rad = (0.0, 9.0, *robot.description.home_rad[2:])
    write(replace(robot, description=replace(robot.description, home_rad=home_rad)), lame)
    found = broken(lame)
    assert "above a joint limit" in found["home lies within the limits and the workspace"]


def test_every_link_is_drawn_in_its_own_colours(kept):
    meshes = make(read(kept).description.model, 0.0)
    upper = sorted({tuple(colour) for colour in meshes["upper"].colours.tolist()})
    assert upper == [pytest.approx([linear(v) for v in colour], abs=5e-3) for colour in sorted((RED, GREEN))]
    assert meshes["base_link"].colours[0] == pytest.approx([linear(v) for v in (0.2, 0.2, 0.3)], abs=1e-3)
    assert np.ptp(meshes["upper"].positions, axis=0) == pytest.approx((0.08, 0.08, 0.32), abs=1e-5), "in metres"
    lengths = np.linalg.norm(meshes["fore"].normals, axis=1)
    assert lengths == pytest.approx(1.0), "the file's normals are zero"


def test_its_picture_shows_it(kept):
    picture, links = portrait(kept)
    assert {"base_link", "upper", "fore", "hand", "left", "right"} <= set(links)
    shown = np.asarray(picture.mask) > 1
    assert 0.03 < shown.mean() < 0.6, "it fills a part of the picture"
    reds = (picture.rgb[..., 0] > 80) & (picture.rgb[..., 1] < 60)
    assert (reds & shown).sum() > 1000


def test_every_link_has_the_mass_that_is_said(kept):
    """The engine gives a kilogram to a link without an inertial element."""
    said = read(kept).assumed
    assert "fore has no mass: 1 kg, its volume at 1000 kg/m3" in said
    assert "plate has no mass and no shape: 0.1 kg" in said
    client = new_client()
    body = client.loadURDF(str(kept / "crane.urdf"), useFixedBase=True)
    names = [client.getJointInfo(body, index)[12].decode() for index in range(client.getNumJoints(body))]
    masses = {name: client.getDynamicsInfo(body, index)[0] for index, name in enumerate(names)}
    client.disconnect()
    assert masses["upper"] == 1.5
    assert masses["fore"] == pytest.approx(1000 * 0.06 * 0.06 * 0.28, rel=1e-3)
    assert masses["plate"] == 0.1


def test_what_the_file_does_not_say_is_assumed_and_said(kept):
    robot = read(kept)
    said = "; ".join(robot.assumed)
    assert "pitch has no speed limit: 1.5 rad/s" in said
    assert "pitch has no effort limit: 10 Nm" in said
    assert "driven 360 degrees either way: turn" in said
    assert "so grey: hand" in said
    assert "colours from the meshes themselves: upper" in said
    arm = robot.description
    turn = arm.joint_names.index("turn")
    assert (arm.joint_lower_rad[turn], arm.joint_upper_rad[turn]) == pytest.approx((-2 * np.pi, 2 * np.pi))


def test_the_hand_is_between_the_fingertips_and_the_fingers_close_along_its_y_axis(kept):
    robot = read(kept)
    (hand,) = robot.description.hands
    urdf = read_urdf(robot.description.model.urdf_path)
    assert set(hand.gripper_joints) == {"left_slide", "right_slide"}
    assert all(ends == pytest.approx((0.0, 0.035)) for ends in hand.gripper_joints.values()), "closed to open"
    assert set(hand.finger_links) == {"left", "right"}
    placed = urdf.joint(f"{hand.link}_fixed")
    assert placed.parent == "plate"
    assert placed.origin[:3, 3] == pytest.approx((0.0, 0.0, 0.058), abs=1e-3)
    assert placed.origin[:3, 2] == pytest.approx((0.0, 0.0, 1.0), abs=1e-6)
    assert abs(placed.origin[0, 1]) == pytest.approx(1.0), "the fingers close along x"
    assert "the hand is a link that was added" in "; ".join(robot.assumed)


def test_fingers_are_where_they_were_however_they_are_counted(kept, tmp_path):
    """The engine holds two fingers at one position: a joint that counts backwards is counted forwards."""
    before, after = read_urdf(crane(tmp_path)), read_urdf(kept / "crane.urdf")
    for name, closed in (("left_slide", -0.035), ("right_slide", 0.035)):
        old, new = before.joint(name), after.joint(name)
        for share in (0.0, 1.0):
            was = old.origin[:3, 3] + (1.0 - share) * closed * old.axis
            assert new.origin[:3, 3] + share * 0.035 * new.axis == pytest.approx(was, abs=1e-9)


def test_home_holds_the_hand_over_the_floor_looking_down(kept):
    from sim.motion.kinematics import Kinematics

    robot = read(kept).description
    arm = Kinematics(robot.model.urdf_path, robot.joint_names, robot.hands[0].link)
    pose = arm.forward(np.array(robot.home_rad))
    assert rotate(pose[3:], np.array((0.0, 0.0, 1.0))) == pytest.approx((0.0, 0.0, -1.0), abs=0.03)
    assert 0.1 < pose[2] < 0.5


def test_the_parts_that_only_ros_reads_are_left_out(kept):
    tags = {element.tag for element in ET.parse(kept / "crane.urdf").getroot()}
    assert tags <= {"link", "joint", "material"}


def test_a_folder_is_searched_for_the_robot_and_a_package_by_its_own_name(tmp_path):
    urdf = crane(tmp_path)
    assert read_source(tmp_path).urdf == urdf
    assert name_of(tmp_path, Wishes()) == "crane_2"
    source = read_source(urdf)
    assert source.find("package://crane_description/meshes/base.stl") == (urdf.parents[1] / "meshes/base.stl").resolve()


def test_several_robots_in_a_folder_are_named(tmp_path):
    urdf = crane(tmp_path)
    urdf.with_name("other.urdf").write_text(WHOLE)
    with pytest.raises(
        SourceError, match=r"several robots: a-repository/urdf/crane.urdf, a-repository/urdf/other.urdf"
    ):
        read_source(tmp_path)


def test_a_xacro_is_expanded_without_ros(tmp_path):
    xacro = """<?xml version="1.0"?><robot name="crane" xmlns:xacro="http://www.ros.org/wiki/xacro">
        <xacro:property name="reach" value="0.32"/>
        <xacro:include filename="$(find crane_description)/urdf/parts.xacro"/>
        <xacro:all/></robot>"""
    body = WHOLE[WHOLE.index(">", WHOLE.index("<robot")) + 1 : WHOLE.rindex("</robot>")]
    body = body.replace("0 0 0.32", "0 0 ${reach}")
    parts = f'<robot xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:macro name="all">{body}</xacro:macro></robot>'
    urdf = crane(tmp_path)
    urdf.rename(urdf.with_name("crane.urdf.xacro")).write_text(xacro)
    urdf.with_name("parts.xacro").write_text(parts)
    robot = brought(tmp_path / "a-repository", tmp_path / "kept" / "crane")
    assert len(robot.description.joint_names) == 6
    assert read_urdf(tmp_path / "kept/crane/crane.urdf").joint("elbow").origin[2, 3] == pytest.approx(0.32)


def test_a_xacro_that_cannot_be_expanded_says_why(tmp_path):
    path = tmp_path / "a.xacro"
    include = '<xacro:include filename="$(find nobody)/b.xacro"/>'
    path.write_text(f'<robot name="a" xmlns:xacro="http://www.ros.org/wiki/xacro">{include}</robot>')
    with pytest.raises(UrdfSyntaxError, match="nobody"):
        read_source(path)


def test_meshes_that_no_reader_takes_are_all_named_before_anything_else(tmp_path):
    urdf = WHOLE.replace("fore.stl", "fore.step").replace("jaw.stl", "gone.stl").replace("hand.stl", "bad.dae")
    path = crane(tmp_path, urdf)
    (path.parents[1] / "meshes" / "fore.step").write_text("ISO-10303-21;")
    (path.parents[1] / "meshes" / "bad.dae").write_text("<COLLADA")
    with pytest.raises(MeshesError) as raised:
        brought(path, tmp_path / "kept" / "crane")
    said = str(raised.value)
    assert "meshes/fore.step (fore.step: no reader here takes .step)" in said
    assert "meshes/gone.stl (there is no such file)" in said
    assert "bad.dae" in said


def test_a_mesh_in_millimetres_is_said_and_one_that_is_scaled_is_not(tmp_path):
    path = crane(tmp_path)
    big = path.parents[1] / "meshes" / "upper.dae"
    big.write_text(dae([((-40, -40, 0), (40, 40, 320), RED)], 1.0))
    with pytest.raises(MeshesError, match=r"over 20 m long: if it is in millimetres, scale it by 0.001"):
        brought(path, tmp_path / "kept" / "crane")
    path.write_text(WHOLE.replace('upper.dae"', 'upper.dae" scale="0.001 -0.001 0.001"'))
    robot = brought(path, tmp_path / "scaled" / "crane").description
    mesh = make(robot.model, 0.0)["upper"]
    assert np.ptp(mesh.positions, axis=0) == pytest.approx((0.08, 0.08, 0.32), abs=1e-5)
    a, b, c = (mesh.positions[mesh.triangles[:, i]].astype(np.float64) for i in range(3))
    assert np.einsum("ij,ij->i", a, np.cross(b, c)).sum() > 0.0, "a mirrored mesh is not inside out"


def test_an_up_axis_is_not_applied_as_rviz_and_the_page_do_not(tmp_path):
    path = crane(tmp_path)
    mesh = path.parents[1] / "meshes" / "upper.dae"
    mesh.write_text(dae([((-0.04, -0.04, 0.0), (0.04, 0.04, 0.32), RED)], 1.0, up="Y_UP"))
    robot = brought(path, tmp_path / "kept" / "crane").description
    assert np.ptp(make(robot.model, 0.0)["upper"].positions, axis=0) == pytest.approx((0.08, 0.08, 0.32), abs=1e-5)


def test_an_arm_without_a_gripper_reaches_and_has_its_own_hand(tmp_path):
    robot_ = brought(crane(tmp_path, robot(*LINKS, *JOINTS)), tmp_path / "kept" / "crane")
    assert robot_.tasks == ("reach",)
    assert robot_.description.hands[0].gripper_joints == {}
    assert "no gripper was found" in robot_.assumed
    assert broken(tmp_path / "kept" / "crane") == {}


def test_one_jaw_is_found_by_its_name_or_named(tmp_path):
    tool = '<link name="tcp"/>' + joint("tcp_fixed", ("plate", "tcp"), "0 0 0.06", "0 0 1", "", "fixed")
    jaw = joint(
        "flap", ("plate", "left"), "0.02 0 0", "0 1 0", '<limit lower="0" upper="0.8" effort="5" velocity="2"/>'
    )
    for number, (name, wishes) in enumerate((("jaw", {}), ("flap", {"gripper": ("flap",)}))):
        text = robot(*LINKS, JAWS[0], *JOINTS, jaw.replace("flap", name), tool)
        found = brought(crane(tmp_path / str(number), text), tmp_path / str(number) / "kept", **wishes)
        assert list(found.description.hands[0].gripper_joints) == [name]
        assert found.description.hands[0].gripper_joints[name] == pytest.approx((0.0, 0.8))
        assert "spin" in found.description.joint_names


def test_what_moves_and_is_no_arm_is_welded(tmp_path):
    camera = link("eye", kg=0.1) + joint("pan", ("base_link", "eye"), "0.1 0 0", "0 0 1", FULL)
    found = brought(crane(tmp_path, robot(*LINKS, *JAWS, camera, *JOINTS, *FINGERS)), tmp_path / "kept")
    assert "neither of the arm nor of its gripper, so welded: pan" in found.assumed
    assert "pan" not in found.description.joint_names


@pytest.mark.parametrize(
    ("urdf", "wishes", "error", "says"),
    [
        (robot(*LINKS[:3], *JOINTS[:2]), {}, UnlikeAnArmError, "an arm has at least 3 joints"),
        (robot(LINKS[0], link("column")), {}, UrdfSyntaxError, "exactly one link has no parent"),
        ("<robot", {}, UrdfSyntaxError, "is not XML"),
        ("<sdf/>", {}, UrdfSyntaxError, "it begins with <sdf>"),
        (WHOLE, {"gripper": ("nobody",)}, Exception, "no joint 'nobody'"),
        (WHOLE, {"hand": "nobody"}, Exception, "no link 'nobody'"),
        (
            robot(*LINKS, *JOINTS, link("b"), joint("x", ("upper", "b"), "0 0 0", "0 0 1", FULL, "wobbly")),
            {},
            Exception,
            "'wobbly'",
        ),
    ],
)
def test_what_is_no_arm_is_refused_with_the_reason(tmp_path, urdf, wishes, error, says):
    with pytest.raises(error, match=says):
        brought(crane(tmp_path, urdf), tmp_path / "kept" / "crane", **wishes)


def test_two_arms_are_refused_by_name(tmp_path):
    second = "".join(
        part.replace(' name="', ' name="b_').replace(' link="', ' link="b_') for part in (*LINKS[1:], *JOINTS)
    )
    second = second.replace('link="b_base_link"', 'link="base_link"')
    with pytest.raises(UnlikeAnArmError, match=r"more than one arm, .*turn and b_turn"):
        brought(crane(tmp_path, robot(*LINKS, *JOINTS, second)), tmp_path / "kept" / "crane")


@pytest.mark.parametrize("name", ["panda", "../up", "2nd", "a b", "x" * 41])
def test_a_name_is_a_folders_and_nobody_elses(tmp_path, name):
    with pytest.raises(RobotNameError, match=repr(name).strip("'")):
        name_of(crane(tmp_path), Wishes(name=name))


def test_nothing_there_is_said(tmp_path):
    with pytest.raises(UrdfMissingError, match="There is nothing at"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(UrdfMissingError, match="has no robot"):
        read_source(tmp_path)


def test_what_is_written_is_what_was_read(kept, tmp_path):
    other = shutil.copytree(kept, tmp_path / "crane")
    write(read(kept), other)
    assert (other / FILE).read_bytes() == (kept / FILE).read_bytes()
    assert read(other).description.model.root == other
    without = json.loads((kept / FILE).read_text())
    del without["acceleration_time_s"], without["assumed"], without["format"]
    (other / FILE).write_text(json.dumps(without))
    assert read(other) == replace(read(kept), description=read(other).description, assumed=())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:-30], "is not a robot's description"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "is of format 2, and this version reads 1"),
        (lambda text: text.replace('"home_rad": [', '"home_rad": [0.5,'), "one for each joint"),
        (lambda text: text.replace('"crane.urdf"', '"../crane.urdf"'), "its URDF beside the file"),
    ],
)
def test_a_description_that_was_broken_by_hand_says_what_is_wrong(kept, tmp_path, change, says):
    (tmp_path / FILE).write_text(change((kept / FILE).read_text()))
    with pytest.raises(OwnRobotError, match=says):
        read(tmp_path)
