// Normals that light can use: some programs write zeros into mesh files, and a surface without a normal is black.

import type { BufferGeometry } from 'three'

/** A normal shorter than this (squared) points nowhere. */
const NOWHERE = 0.01

/** Compute a geometry's normals if it has none, or any that points nowhere. */
export function relight(geometry: BufferGeometry): void {
  const normal = geometry.getAttribute('normal')
  for (let i = 0; i < (normal?.count ?? 0); i++) {
    const [x, y, z] = [normal.getX(i), normal.getY(i), normal.getZ(i)]
    if (!(x * x + y * y + z * z > NOWHERE)) return geometry.computeVertexNormals()
  }
  if (!normal) geometry.computeVertexNormals()
}
