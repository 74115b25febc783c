import { PerspectiveCamera, Vector3 } from 'three'
import { expect, test } from 'vitest'
import { Drag, type Pointer } from './drag'
import { still } from './input'
import { poseOf } from './servo'

const HAND = poseOf([0.5, 0, 0.3, 0, 1, 0, 0])
const [WIDTH, HEIGHT] = [800, 600]

/** From behind the robot, level: right of the picture is -y, up is z, further is x. */
function camera(): PerspectiveCamera {
  const made = new PerspectiveCamera(36, WIDTH / HEIGHT, 0.02, 40)
  made.up.set(0, 0, 1)
  made.position.set(-1, 0, 0.3)
  made.lookAt(0.5, 0, 0.3)
  made.updateMatrixWorld()
  return made
}

const at = (x: number, y: number): Pointer => ({ px: { x, y }, ndc: { x: (2 * x) / WIDTH - 1, y: 1 - (2 * y) / HEIGHT } })
const MIDDLE = at(400, 300)
const grabbed = () => new Drag(camera(), HAND.position, MIDDLE)

test('a hand that is only held stands', () => {
  expect(grabbed().axes(HAND, 0)).toEqual(still())
})

test.each([
  ['right', at(600, 300), { y: -1 }],
  ['up', at(400, 100), { z: 1 }],
])('dragged %s, the hand goes there in the plane that faces the camera', (_, pointer, axes) => {
  const drag = grabbed()
  drag.move(pointer)
  const got = drag.axes(HAND, 0)
  for (const [axis, value] of Object.entries({ ...still(), ...axes })) expect(got[axis as 'x']).toBeCloseTo(value)
})

test('the goal lies where the pointer shows', () => {
  const drag = grabbed()
  drag.move(at(500, 300))
  const seen = new Vector3(0.5, 0, 0.3).project(camera())
  expect(seen.x).toBeCloseTo(0)
  const goal = new Vector3(at(500, 300).ndc.x, 0, seen.z).unproject(camera())
  expect(drag.axes({ ...HAND, position: goal }, 0).y).toBeCloseTo(0, 4)
})

test('the wheel moves it along the line of sight', () => {
  const drag = grabbed()
  drag.wheel(-100)
  expect(drag.axes(HAND, 0).x).toBeCloseTo(0.64)
  drag.wheel(200)
  expect(drag.axes(HAND, 0).x).toBeCloseTo(-0.64)
})

test('with Shift the pointer turns the hand, which stays where it is', () => {
  const drag = grabbed()
  drag.turning(true, HAND)
  drag.move(at(410, 300))
  const axes = drag.axes(HAND, 0)
  expect(axes.yaw).toBeCloseTo(0.32)
  for (const axis of ['x', 'y', 'z'] as const) expect(axes[axis]).toBeCloseTo(0)
  drag.turning(false, HAND)
  expect(drag.axes(HAND, 0)).toMatchObject({ roll: 0, pitch: 0, yaw: 0 })
})
