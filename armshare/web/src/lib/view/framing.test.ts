import { Box3, PerspectiveCamera, Vector3 } from 'three'
import { expect, test } from 'vitest'
import { cornersOf, sidesOf, standFor } from './framing'

const small = cornersOf(new Box3(new Vector3(-0.05, -0.05, 0), new Vector3(0.25, 0.05, 0.3)))
const wide = cornersOf(new Box3(new Vector3(-0.1, -0.7, 0), new Vector3(0.75, 0.7, 0.9)))
/** An upright arm, and something on the floor far to one side. */
const lopsided = [...small, new Vector3(0.6, -0.5, 0)]
const from = new Vector3(-0.66, -0.68, 0.46).normalize()

/** How far the points go to each side of the picture, in [-1, 1]. */
function sides(points: Vector3[], across: number, up: number) {
  const camera = new PerspectiveCamera((360 / Math.PI) * Math.atan(up), across / up, 0.001, 100)
  camera.up.set(0, 0, 1)
  const stand = standFor(points, from, across, up)
  const { right, above } = sidesOf(from)
  const sight = right.multiplyScalar(stand.right).addScaledVector(above, stand.above)
  camera.position.copy(sight).addScaledVector(from, stand.away)
  camera.lookAt(sight)
  camera.updateMatrixWorld()
  const seen = points.map((point) => point.clone().project(camera))
  const [xs, ys] = [seen.map(({ x }) => x), seen.map(({ y }) => y)]
  return { left: Math.min(...xs), right: Math.max(...xs), bottom: Math.min(...ys), top: Math.max(...ys) }
}

test.each([
  ['a small arm on a wide screen', small, 0.6, 0.38],
  ['a small arm on a phone', small, 0.18, 0.38],
  ['two arms on a wide screen', wide, 0.6, 0.38],
  ['two arms on a phone', wide, 0.18, 0.38],
  ['a thing far to the side, on a wide screen', lopsided, 0.6, 0.38],
  ['a thing far to the side, on a phone', lopsided, 0.18, 0.38],
])('%s fills the picture from side to side or from top to bottom, in its middle, and nothing is beyond it', (_, points, across, up) => {
  const { left, right, bottom, top } = sides(points, across, up)
  expect(Math.max(right, top)).toBeCloseTo(1, 6)
  expect(left).toBeGreaterThanOrEqual(-1 - 1e-9)
  expect(bottom).toBeGreaterThanOrEqual(-1 - 1e-9)
  const [whole, other] = right > top ? [-left, [bottom, top]] : [-bottom, [left, right]]
  expect(whole).toBeCloseTo(1, 6)
  expect(Math.abs((other[0] as number) + (other[1] as number))).toBeLessThan(0.35) // perspective: nearly in the middle
})
