import { Euler, Quaternion, Vector3 } from 'three'
import { expect, test } from 'vitest'
import { still } from './input'
import { poseOf, type Pose } from './servo'
import { Clutch, headingOf, offered } from './xr'

const HAND = poseOf([0.5, 0, 0.3, 0, 1, 0, 0])
const about = (x: number, y: number, z: number) => new Quaternion().setFromEuler(new Euler(x, y, z))
const device = (x = 0, y = 0, z = 0, orientation = new Quaternion()): Pose => ({ position: new Vector3(x, y, z), orientation })

/** A device that goes there in steps that are no jumps, with the hand standing. */
function moved(to: Pose, { from = device(), steps = 40, baseRad = 0 } = {}) {
  const clutch = new Clutch()
  let axes = clutch.step(from, HAND, baseRad)
  for (let i = 1; i <= steps; i++) {
    const position = from.position.clone().lerp(to.position, i / steps)
    const orientation = from.orientation.clone().slerp(to.orientation, i / steps)
    axes = clutch.step({ position, orientation }, HAND, baseRad)
  }
  return axes
}

const close = (got: ReturnType<typeof still>, wanted: Partial<ReturnType<typeof still>>) => {
  for (const [axis, value] of Object.entries({ ...still(), ...wanted })) expect(got[axis as 'x']).toBeCloseTo(value)
}

test('where a device is when it is taken does not matter', () => {
  close(new Clutch().step(device(3, 1, -2, about(0.4, 1, 0.2)), HAND, 0), {})
})

test.each([
  ['away', device(0, 0, -0.02), { x: 0.32 }],
  ['to the left', device(-0.02, 0, 0), { y: 0.32 }],
  ['up', device(0, 0.02, 0), { z: 0.32 }],
  ['turned left', device(0, 0, 0, about(0, 0.1, 0)), { yaw: 0.4 }],
  ['tilted forward', device(0, 0, 0, about(-0.1, 0, 0)), { pitch: 0.4 }],
  ['rolled right', device(0, 0, 0, about(0, 0, -0.1)), { roll: 0.4 }],
])('a device that is moved %s moves the hand so', (_, to, axes) => {
  close(moved(to), axes)
})

test('away is away from the person, however the person stands', () => {
  const turned = about(0, Math.PI / 2, 0) // looking along -x
  close(moved(device(-0.02, 0, 0, turned), { from: device(0, 0, 0, turned) }), { x: 0.32 })
})

test('and away from the robot, however its base has turned', () => {
  close(moved(device(0, 0, -0.02), { baseRad: 1.1 }), { x: 0.32 })
})

test('a phone that looks at the floor has the heading of its top', () => {
  expect(headingOf(about(-Math.PI / 2, 0, 0))).toBeCloseTo(0)
  expect(headingOf(about(0, 0.7, 0))).toBeCloseTo(0.7)
})

test.each([
  ['6 cm', device(0, 0.07, 0)],
  ['25 degrees', device(0, 0, 0, about(0, 0.5, 0))],
])('a jump of more than %s between two frames is dropped, and what comes after it counts', (_, to) => {
  const clutch = new Clutch()
  clutch.step(device(), HAND, 0)
  close(clutch.step(to, HAND, 0), {})
  close(clutch.step({ ...to, position: to.position.clone().add(new Vector3(0, 0.02, 0)) }, HAND, 0), { z: 0.32 })
})

test('a device that is let go of and moved begins again', () => {
  const clutch = new Clutch()
  clutch.step(device(), HAND, 0)
  clutch.step(device(0, 0.05, 0), HAND, 0)
  clutch.release()
  close(clutch.step(device(0, 0.04, 0), HAND, 0), {})
})

test('only what the browser says is there is offered', async () => {
  const xr = (there: string[]) =>
    ({ isSessionSupported: (kind: string) => (kind === 'immersive-ar' && there.includes('broken') ? Promise.reject(new Error()) : Promise.resolve(there.includes(kind))) }) as unknown as XRSystem
  expect(await offered(xr(['immersive-vr']))).toEqual(['immersive-vr'])
  expect(await offered(xr(['immersive-vr', 'broken']))).toEqual(['immersive-vr'])
  expect(await offered(xr([]))).toEqual([])
  expect(await offered(undefined)).toEqual([])
})
