"""Small arms as people publish them: ROS packages, written into a folder for a test."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

BOX = ((0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1), (2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4))
BOX += ((1, 5, 7), (1, 7, 3))
RED, GREEN = (0.8, 0.1, 0.1), (0.1, 0.6, 0.2)


def corners(low: Sequence[float], high: Sequence[float]) -> list[tuple[float, float, float]]:
    return [(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]


def stl(low: Sequence[float], high: Sequence[float]) -> bytes:
    """Return a box as a binary STL whose normals are zero, as several exporters write them."""
    points = corners(low, high)
    facets = [struct.pack("<12fH", 0, 0, 0, *(v for i in face for v in points[i]), 0) for face in BOX]
    return b"a box".ljust(80) + struct.pack("<I", len(BOX)) + b"".join(facets)


def dae(
    boxes: Sequence[tuple[Sequence[float], Sequence[float], Sequence[float]]], unit_m: float, up: str = "Z_UP"
) -> str:
    """Return boxes (low, high, colour), m, as COLLADA in another unit, a material for each."""
    effects, materials, meshes, nodes = "", "", "", ""
    for n, (low, high, rgb) in enumerate(boxes):
        colour = " ".join(map(str, (*rgb, 1)))
        effects += (
            f'<effect id="e{n}"><profile_COMMON><technique sid="common"><lambert><diffuse><color>{colour}</color>'
            "</diffuse></lambert></technique></profile_COMMON></effect>"
        )
        materials += f'<material id="m{n}" name="m{n}"><instance_effect url="#e{n}"/></material>'
        places = " ".join(f"{value / unit_m:.9g}" for point in corners(low, high) for value in point)
        faces = " ".join(str(i) for face in BOX for i in face)
        meshes += (
            f'<geometry id="g{n}"><mesh><source id="p{n}"><float_array id="a{n}" count="24">{places}</float_array>'
            f'<technique_common><accessor source="#a{n}" count="8" stride="3"><param name="X" type="float"/>'
            '<param name="Y" type="float"/><param name="Z" type="float"/></accessor></technique_common></source>'
            f'<vertices id="v{n}"><input semantic="POSITION" source="#p{n}"/></vertices>'
            f'<triangles count="12" material="s{n}"><input semantic="VERTEX" source="#v{n}" offset="0"/><p>{faces}</p>'
            "</triangles></mesh></geometry>"
        )
        nodes += (
            f'<node id="n{n}"><instance_geometry url="#g{n}"><bind_material><technique_common>'
            f'<instance_material symbol="s{n}" target="#m{n}"/></technique_common></bind_material>'
            "</instance_geometry></node>"
        )
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<COLLADA xmlns="http://www.collada.org/2005/11/COLLADASchema" version="1.4.1">'
        f'<asset><unit name="own" meter="{unit_m}"/><up_axis>{up}</up_axis></asset>'
        f"<library_effects>{effects}</library_effects><library_materials>{materials}</library_materials>"
        f"<library_geometries>{meshes}</library_geometries><library_visual_scenes><visual_scene id='s'>{nodes}"
        "</visual_scene></library_visual_scenes><scene><instance_visual_scene url='#s'/></scene></COLLADA>"
    )


def link(name: str, mesh: str = "", kg: float | None = 1.0, colour: str = "") -> str:
    material = f'<material name="{name}_paint"><color rgba="{colour} 1"/></material>' if colour else ""
    shape = f'<geometry><mesh filename="package://crane_description/meshes/{mesh}"/></geometry>' if mesh else ""
    seen = f"<visual>{shape}{material}</visual><collision>{shape}</collision>" if mesh else ""
    inertia = '<inertia ixx="0.01" iyy="0.01" izz="0.01" ixy="0" ixz="0" iyz="0"/>'
    mass = "" if kg is None else f'<inertial><mass value="{kg}"/>{inertia}</inertial>'
    return f'<link name="{name}">{mass}{seen}</link>'


def joint(
    name: str, ends: tuple[str, str], xyz: str, axis: str, limit: str, kind: str = "revolute", more: str = ""
) -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{ends[0]}"/><child link="{ends[1]}"/>'
        f'<origin xyz="{xyz}"/><axis xyz="{axis}"/>{limit}{more}</joint>'
    )


FULL = '<limit lower="-2.8" upper="2.8" effort="90" velocity="2.5"/>'
JOINTS = (
    joint("turn", ("base_link", "column"), "0 0 0.18", "0 0 1", '<limit effort="90" velocity="2"/>', "continuous"),
    joint(
        "shoulder",
        ("column", "upper"),
        "0 0 0.05",
        "0 1 0",
        '<limit lower="-1.6" upper="2.1" effort="90" velocity="2"/>',
    ),
    joint("elbow", ("upper", "fore"), "0 0 0.32", "0 1 0", FULL),
    joint("roll", ("fore", "wrist"), "0 0 0.28", "0 0 1", FULL),
    joint("pitch", ("wrist", "hand"), "0 0 0", "0 1 0", '<limit lower="-2.3" upper="2.3" effort="0" velocity="0"/>'),
    joint("spin", ("hand", "plate"), "0 0 0.07", "0 0 1", FULL),
)
FINGERS = (
    joint(
        "left_slide",
        ("plate", "left"),
        "0.05 0 0",
        "1 0 0",
        '<limit lower="-0.035" upper="0" effort="30" velocity="0.2"/>',
        "prismatic",
    ),
    joint(
        "right_slide",
        ("plate", "right"),
        "-0.05 0 0",
        "1 0 0",
        '<limit lower="0" upper="0.035" effort="30" velocity="0.2"/>',
        "prismatic",
        '<mimic joint="left_slide" multiplier="-1"/>',
    ),
)
LINKS = (
    link("base_link", "base.stl", 5.0, "0.2 0.2 0.3"),
    link("column", kg=2.0),
    link("upper", "upper.dae", 1.5),
    link("fore", "fore.stl", None, "0.9 0.6 0.1"),
    link("wrist", kg=0.4),
    link("hand", "hand.stl", 0.4),
    link("plate", kg=None),
)
JAWS = (link("left", "jaw.stl", 0.05, "0.1 0.1 0.1"), link("right", "jaw.stl", 0.05, "0.1 0.1 0.1"))
NOT_OURS = '<transmission name="t"><type>x</type></transmission><gazebo reference="upper"><mu1>1</mu1></gazebo>'


def robot(*parts: str, name: str = "Crane 2") -> str:
    return f'<?xml version="1.0"?><robot name="{name}">{"".join(parts)}{NOT_OURS}</robot>'


WHOLE = robot(*LINKS, *JAWS, *JOINTS, *FINGERS)
"""Six joints, one of them endless; two fingers that close along x, one of which follows the other the other way."""


def crane(folder: Path, urdf: str = WHOLE) -> Path:
    """Write the package into `folder / a-repository`, whose name is not the package's; return its URDF."""
    package = folder / "a-repository"
    (package / "urdf").mkdir(parents=True)
    (package / "meshes").mkdir()
    (package / "package.xml").write_text("<package format='2'><name>crane_description</name></package>")
    meshes = package / "meshes"
    meshes.joinpath("base.stl").write_bytes(stl((-0.07, -0.07, 0.0), (0.07, 0.07, 0.18)))
    meshes.joinpath("fore.stl").write_bytes(stl((-0.03, -0.03, 0.0), (0.03, 0.03, 0.28)))
    meshes.joinpath("hand.stl").write_bytes(stl((-0.035, -0.035, -0.03), (0.035, 0.035, 0.06)))
    meshes.joinpath("jaw.stl").write_bytes(stl((-0.008, -0.012, 0.0), (0.008, 0.012, 0.07)))
    halves = [((-0.04, -0.04, 0.0), (0.04, 0.04, 0.16), RED), ((-0.04, -0.04, 0.16), (0.04, 0.04, 0.32), GREEN)]
    meshes.joinpath("upper.dae").write_text(dae(halves, 0.001))
    path = package / "urdf" / "crane.urdf"
    path.write_text(urdf)
    return path
