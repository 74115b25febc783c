import { BufferAttribute, BufferGeometry } from 'three'
import { STLLoader } from 'three/examples/jsm/loaders/STLLoader.js'
import { expect, test } from 'vitest'
import { relight } from './normals'

/** One triangle on the floor as a binary STL, with the normal that its file gives. */
function stl(normal: [number, number, number]): BufferGeometry {
  const data = new DataView(new ArrayBuffer(84 + 50))
  data.setUint32(80, 1, true)
  for (const [i, value] of [...normal, 0, 0, 0, 1, 0, 0, 0, 1, 0].entries()) data.setFloat32(84 + 4 * i, value, true)
  return new STLLoader().parse(data.buffer)
}
const normals = (geometry: BufferGeometry) => [...geometry.getAttribute('normal').array]
const UP = [0, 0, 1, 0, 0, 1, 0, 0, 1]

test('normals of zero, as some exporters write them, are computed from the triangles', () => {
  const geometry = stl([0, 0, 0])
  expect(normals(geometry)).toEqual(Array(9).fill(0))
  relight(geometry)
  expect(normals(geometry)).toEqual(UP)
})

test('normals that point somewhere stay as they are', () => {
  const geometry = stl([0, 1, 0])
  relight(geometry)
  expect(normals(geometry)).toEqual([0, 1, 0, 0, 1, 0, 0, 1, 0])
})

test('a mesh without normals gets them, and one with numbers that are none too', () => {
  const geometry = new BufferGeometry().setAttribute('position', new BufferAttribute(Float32Array.of(0, 0, 0, 1, 0, 0, 0, 1, 0), 3))
  relight(geometry)
  expect(normals(geometry)).toEqual(UP)
  const broken = stl([NaN, 0, 0])
  relight(broken)
  expect(normals(broken)).toEqual(UP)
})
