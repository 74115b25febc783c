// Meshes with fewer triangles, for browsers that draw by the processor: there each vertex costs more than each pixel.

import { BufferAttribute, BufferGeometry } from 'three'
import { mergeGeometries, mergeVertices, toCreasedNormals } from 'three/examples/jsm/utils/BufferGeometryUtils.js'

/** Of the triangles, how many stay; fewer are taken away if the surface would be off by more. */
const KEPT = 0.08
/** Of the mesh's size. */
const ERROR_MAX = 0.015
/** Below this a mesh costs nothing. */
const SMALL = 300
const CREASE_RAD = 0.7

/** The same surface with fewer triangles, in the same groups of materials; one that is small stays as it is. */
export async function simplified(geometry: BufferGeometry): Promise<BufferGeometry> {
  const position = geometry.getAttribute('position')
  if ((geometry.index?.count ?? position.count) < 3 * SMALL) return geometry
  const { MeshoptSimplifier } = await import('meshoptimizer/simplifier')
  await MeshoptSimplifier.ready
  const groups = geometry.groups.length > 0 ? geometry.groups : [{ start: 0, count: Infinity, materialIndex: 0 }]
  const parts = groups.map((group) => {
    const whole = mergeVertices(corners(geometry, group.start, group.count))
    const index = Uint32Array.from(whole.getIndex()?.array ?? [])
    const places = Float32Array.from(whole.getAttribute('position').array)
    const target = 3 * Math.ceil((KEPT * index.length) / 3)
    const [kept] = MeshoptSimplifier.simplify(index, places, 3, target, ERROR_MAX, ['Prune'])
    whole.setIndex(new BufferAttribute(kept, 1))
    return toCreasedNormals(whole, CREASE_RAD)
  })
  const made = mergeGeometries(parts, true)
  made.groups.forEach((group, i) => (group.materialIndex = groups[i]?.materialIndex ?? 0))
  if (geometry.groups.length === 0) made.clearGroups()
  return made
}

/** Some triangles of a mesh, by their corners' positions alone: normals and textures would keep corners apart. */
function corners(geometry: BufferGeometry, start: number, count: number): BufferGeometry {
  const position = geometry.getAttribute('position')
  const end = Math.min(start + count, geometry.index?.count ?? position.count)
  const places = new Float32Array(3 * (end - start))
  for (let i = start; i < end; i++) {
    const at = geometry.index?.getX(i) ?? i
    places.set([position.getX(at), position.getY(at), position.getZ(at)], 3 * (i - start))
  }
  return new BufferGeometry().setAttribute('position', new BufferAttribute(places, 3))
}
