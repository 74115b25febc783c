import { Box3, PerspectiveCamera, Vector3 } from 'three'
import { expect, test } from 'vitest'
import { cornersOf, distanceFor } from './framing'

const small = new Box3(new Vector3(-0.05, -0.05, 0), new Vector3(0.25, 0.05, 0.3))
const wide = new Box3(new Vector3(-0.1, -0.7, 0), new Vector3(0.75, 0.7, 0.9))
const from = new Vector3(-0.66, -0.68, 0.46).normalize()

function extent(box: Box3, across: number, up: number): number {
  const middle = box.getCenter(new Vector3())
  const camera = new PerspectiveCamera((360 / Math.PI) * Math.atan(up), across / up, 0.001, 100)
  camera.up.set(0, 0, 1)
  camera.position.copy(middle).addScaledVector(from, distanceFor(box, from, across, up))
  camera.lookAt(middle)
  camera.updateMatrixWorld()
  const seen = cornersOf(box).map((corner) => corner.project(camera))
  return Math.max(...seen.flatMap(({ x, y }) => [Math.abs(x), Math.abs(y)]))
}

test.each([
  ['a small arm on a wide screen', small, 0.6, 0.38],
  ['a small arm on a phone', small, 0.18, 0.38],
  ['two arms on a wide screen', wide, 0.6, 0.38],
  ['two arms on a phone', wide, 0.18, 0.38],
])('%s touches the edge of the picture, and no corner is beyond it', (_, box, across, up) => {
  expect(extent(box, across, up)).toBeCloseTo(1, 6)
})
