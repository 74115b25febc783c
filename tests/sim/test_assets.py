"""What a page asks for of a model is found however the URDF names it, and nothing else of the disk is."""

from __future__ import annotations

import pytest

from sim.catalogue import ROBOTS, model
from sim.model.assets import asset
from sim.model.urdf import read_urdf, urdf_files
from sim.robot import RobotModel
from tests.sim.bring.packages import WHOLE, crane


@pytest.fixture
def ros(tmp_path) -> RobotModel:
    """A package as ROS lays it out: `urdf/` beside `meshes/`, and other files."""
    path = crane(tmp_path, WHOLE.replace("package://crane_description/meshes/fore.stl", "../meshes/fore.stl"))
    (path.parents[1] / "secret.txt").write_text("x")
    (path.parents[1] / "meshes" / "unused.stl").write_text("x")
    return RobotModel("crane", path.parents[1], "urdf/crane.urdf")


@pytest.mark.parametrize("mesh", ["base.stl", "upper.dae", "jaw.stl"])
def test_a_package_of_another_name_is_found_as_the_page_asks_for_it(ros, mesh):
    """The page knows the URDF's folder and the package's name, and puts one below the other."""
    found = asset(ros, f"urdf/crane_description/meshes/{mesh}")
    assert found == (ros.root / "meshes" / mesh).resolve()


def test_a_mesh_beside_the_urdfs_folder_is_found_by_its_own_path(ros):
    assert asset(ros, "meshes/fore.stl") == (ros.root / "meshes" / "fore.stl").resolve()
    assert asset(ros, "urdf/crane.urdf") == ros.urdf_path.resolve()


@pytest.mark.parametrize(
    "path",
    [
        "secret.txt",
        "package.xml",
        "meshes/unused.stl",
        "../x",
        "urdf/../secret.txt",
        "urdf/../../../etc/passwd",
        "",
        "/etc/passwd",
    ],
)
def test_nothing_else_is(ros, path):
    assert asset(ros, path) is None


@pytest.mark.parametrize("name", ROBOTS)
def test_every_file_of_the_projects_own_robots_is_found(name):
    robot = model(name)
    for path in urdf_files(robot):
        assert asset(robot, path.resolve().relative_to(robot.root.resolve()).as_posix()) == path.resolve()
    assert read_urdf(robot.urdf_path).meshes or name == "so101"
