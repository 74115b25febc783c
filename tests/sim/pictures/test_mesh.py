"""Meshes keep their surface, their colours and their light, however few triangles are left of them."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sim.catalogue import ROBOTS, description, model
from sim.pictures.mesh import MeshSyntaxError, joined, linear, load, of_shape, shaded, simplified
from sim.pictures.visuals import VisualsError, link_meshes
from sim.scene import Box, Cylinder, Sphere
from tests.sim.bring.packages import GREEN, RED, dae

WHITE = (1.0, 1.0, 1.0)


def areas_and_normals(mesh):
    corners = mesh.positions[mesh.triangles].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(across, axis=1)
    return 0.5 * doubled, across / np.maximum(doubled, 1e-20)[:, None]


def volume(mesh) -> float:
    a, b, c = (mesh.positions[mesh.triangles[:, i]].astype(np.float64) for i in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6.0)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Box((0.1, 0.2, 0.3)), 8 * 0.1 * 0.2 * 0.3),
        (Cylinder(0.1, 0.4), np.pi * 0.01 * 0.4),
        (Sphere(0.2), 4 / 3 * np.pi * 0.008),
    ],
)
def test_a_primitive_is_closed_and_looks_outward(shape, expected):
    mesh = of_shape(shape, WHITE)
    assert volume(mesh) == pytest.approx(expected, rel=0.03)
    _, flat = areas_and_normals(mesh)
    assert (np.einsum("ij,ikj->ik", flat, mesh.normals[mesh.triangles]) > 0.8).all(), "light falls on the outside"


def test_a_box_keeps_its_edges_and_a_ball_has_none():
    box, ball = of_shape(Box((1.0, 1.0, 1.0)), WHITE), of_shape(Sphere(1.0), WHITE)
    assert len(box.positions) == 24, "three normals at each corner"
    assert np.einsum("ij,ij->i", ball.normals, ball.positions) == pytest.approx(1.0, abs=0.02)


def test_simplifying_leaves_the_surface_where_it_is():
    ball = of_shape(Sphere(0.1), WHITE)
    fine = ball.positions[ball.triangles].reshape(-1, 3).astype(np.float64)
    points, faces = fine, np.arange(len(fine), dtype=np.int32).reshape(-1, 3)
    for _ in range(2):  # each triangle into four, on the ball
        corners = points[faces]
        middles = 0.5 * (corners + np.roll(corners, -1, axis=1))
        a, b, c, ab, bc, ca = (*corners.transpose(1, 0, 2), *middles.transpose(1, 0, 2))
        points = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], axis=1).reshape(-1, 3)
        points *= 0.1 / np.linalg.norm(points, axis=1, keepdims=True)
        faces = np.arange(len(points), dtype=np.int32).reshape(-1, 3)
    whole = shaded(points, faces, WHITE)
    program = (
        "import sys, numpy as np; from sim.pictures.mesh import simplified, welded; d = np.load(sys.argv[1]);"
        "p, f = simplified(*welded(d['p'], d['f']), 0.02); np.savez(sys.argv[2], p=p, f=f)"
    )
    assert len(whole.triangles) > 8000
    found = _in_a_process(program, points, faces)
    assert 300 < len(found["f"]) < 1500
    assert np.linalg.norm(found["p"], axis=1) == pytest.approx(0.1, abs=0.0008)


def _in_a_process(program: str, points, faces):
    """Simplify in a process of its own, as the library does."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, p=points, f=faces)
        subprocess.run([sys.executable, "-c", program, str(given), str(made)], check=True)
        with np.load(made) as file:
            return dict(file)


def test_a_mesh_of_few_triangles_stays_as_it_is():
    box = of_shape(Box((0.01, 0.01, 0.01)), WHITE)
    points = box.positions.astype(np.float64)
    found = simplified(points, box.triangles, 0.5)
    assert found[1] is box.triangles


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_robots_simplified_links_have_the_extent_and_the_colours_of_its_files(robot):
    whole, fewer = link_meshes(model(robot)), link_meshes(model(robot), 0.01)
    assert list(whole) == list(fewer)
    assert sum(len(mesh.triangles) for mesh in fewer.values()) <= sum(len(mesh.triangles) for mesh in whole.values())
    for name, mesh in fewer.items():
        for end in ("min", "max"):
            ends = [getattr(one.positions, end)(axis=0) for one in (mesh, whole[name])]
            assert ends[0] == pytest.approx(ends[1], abs=0.004), name
        theirs = {tuple(row) for row in np.unique(whole[name].colours, axis=0)}
        assert {tuple(row) for row in np.unique(mesh.colours, axis=0)} <= theirs
        assert np.linalg.norm(mesh.normals, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_a_wavefront_file_is_drawn_in_the_colours_of_its_own_library(tmp_path):
    (tmp_path / "two.mtl").write_text("newmtl a\nKd 1 0 0\nnewmtl b\nKd 0 0.5 0\n")
    (tmp_path / "two.obj").write_text(
        "mtllib two.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nusemtl a\nf 1 2 3\nusemtl b\nf 1 2 4\n"
    )
    mesh = load(tmp_path / "two.obj", (0.1, 0.1, 0.1), np.ones(3), 0.0)
    assert np.unique(mesh.colours, axis=0) == pytest.approx(
        np.array(((0.0, linear(0.5), 0.0), (1.0, 0.0, 0.0))), abs=1e-6
    )


def test_a_file_without_colours_is_drawn_in_the_urdfs_and_scaled(tmp_path):
    (tmp_path / "one.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    mesh = load(tmp_path / "one.obj", (0.2, 0.4, 0.6), np.array((1.0, 2.0, 3.0)), 0.0)
    assert mesh.colours[0] == pytest.approx((0.2, 0.4, 0.6))
    assert mesh.positions.max(axis=0) == pytest.approx((1.0, 2.0, 0.0))


@pytest.mark.parametrize("content", [b"", b"v 0 0 zero\nf 1 2 3\n", b"\x00\xff" * 100])
def test_a_file_that_is_no_mesh_is_refused_by_name(content, tmp_path):
    path = tmp_path / "bad.obj"
    path.write_bytes(content)
    with pytest.raises(MeshSyntaxError, match=r"bad\.obj: expected"):
        load(path, WHITE, np.ones(3), 0.0)


def test_a_spoilt_cache_says_which_file_to_delete(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "base_link" in link_meshes(description("so101").model, 0.01)
    (kept,) = tmp_path.rglob("*.npz")
    kept.write_bytes(b"spoilt")
    with pytest.raises(VisualsError, match=r"delete the file"):
        link_meshes(description("so101").model, 0.01)


def test_nothing_joined_is_nothing():
    assert joined([]).triangles.shape == (0, 3)


def test_collada_has_its_own_colours_and_its_unit(tmp_path):
    path = tmp_path / "box.dae"
    path.write_text(dae([((0.0, 0.0, 0.0), (0.2, 0.1, 0.4), RED), ((0.0, 0.0, 0.4), (0.2, 0.1, 0.5), GREEN)], 0.001))
    mesh = load(path, WHITE, np.ones(3), 0.0)
    assert np.ptp(mesh.positions, axis=0) == pytest.approx((0.2, 0.1, 0.5), abs=1e-6)
    seen = sorted({tuple(colour) for colour in mesh.colours.tolist()})
    assert seen == [pytest.approx([linear(v) for v in colour], abs=5e-3) for colour in sorted((RED, GREEN))]
