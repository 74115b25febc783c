import { expect, test } from 'vitest'
import { still, type Intent } from './input'
import { ANGULAR_MAX_RAD_S, LINEAR_MAX_M_S, Twist } from './twist'

const wants = (axes: Partial<Intent['axes']>, more: Partial<Intent> = {}): Intent => ({
  axes: { ...still(), ...axes },
  slow: false,
  part: 0,
  grippers: [1],
  deadMan: true,
  ...more,
})

function settled(intent: Intent): number[] {
  const twist = new Twist()
  twist.reset(intent.grippers)
  let values: number[] = []
  for (let i = 0; i < 60; i++) values = twist.step(intent, 1 / 30)
  return values
}

test('a command has six speeds and an opening', () => {
  expect(settled(wants({}))).toEqual([0, 0, 0, 0, 0, 0, 1])
})

test('the speeds settle at their maximum', () => {
  expect(settled(wants({ x: 1 }))[0]).toBeCloseTo(LINEAR_MAX_M_S)
  expect(settled(wants({ yaw: -1 }))[5]).toBeCloseTo(-ANGULAR_MAX_RAD_S)
})

test('a diagonal is no faster than an axis', () => {
  const [x = 0, y = 0, z = 0] = settled(wants({ x: 1, y: -1, z: 1 }))
  expect(Math.hypot(x, y, z)).toBeCloseTo(LINEAR_MAX_M_S)
})

test('slow is slower', () => {
  expect(settled(wants({ x: 1 }, { slow: true }))[0]).toBeLessThan(LINEAR_MAX_M_S / 2)
})

test('a speed never jumps', () => {
  const twist = new Twist()
  let before = 0
  for (let i = 0; i < 20; i++) {
    const [x = 0] = twist.step(wants({ x: i < 10 ? 1 : -1 }), 1 / 30)
    expect(Math.abs(x - before)).toBeLessThanOrEqual((LINEAR_MAX_M_S / 0.2 / 30) * 1.0001)
    before = x
  }
})

test('a released dead-man is zero speed at once, and starts again from zero', () => {
  const twist = new Twist()
  for (let i = 0; i < 20; i++) twist.step(wants({ x: 1 }), 1 / 30)
  expect(twist.step(wants({ x: 1 }, { deadMan: false }), 1 / 30)[0]).toBe(0)
  expect(twist.step(wants({ x: 1 }), 1 / 30)[0]).toBeLessThan(LINEAR_MAX_M_S / 4)
})

test('the opening slews while the dead-man is held, and waits while it is not', () => {
  const twist = new Twist()
  twist.reset([1])
  const closing = twist.step(wants({}, { grippers: [0] }), 1 / 30)[6] as number
  expect(closing).toBeLessThan(1)
  expect(closing).toBeGreaterThan(0.5)
  expect(twist.step(wants({}, { grippers: [0], deadMan: false }), 1)[6]).toBe(closing)
})

test('of two hands and a base, the chosen part moves and the others stand', () => {
  const base = { forwardMS: 0.5, turnRadS: 1.2 }
  const drive = (part: number, axes: Partial<Intent['axes']>): number[] => {
    const twist = new Twist(2, base)
    twist.reset([1, 0])
    let values: number[] = []
    for (let i = 0; i < 60; i++) values = twist.step(wants(axes, { part, grippers: [1, 0] }), 1 / 30)
    return values
  }
  const still6 = [0, 0, 0, 0, 0, 0]
  expect(drive(0, { y: 1 })).toEqual([0, LINEAR_MAX_M_S, 0, 0, 0, 0, 1, ...still6, 0, 0, 0])
  expect(drive(1, { z: -1 })).toEqual([...still6, 1, 0, 0, -LINEAR_MAX_M_S, 0, 0, 0, 0, 0, 0])
  expect(drive(2, { x: 1, yaw: 1, y: 1 })).toEqual([...still6, 1, ...still6, 0, 0.5, 1.2])
})

test('a bad connection takes the same part of every speed', () => {
  const twist = new Twist(1, { forwardMS: 0.5, turnRadS: 1.2 })
  let values: number[] = []
  for (let i = 0; i < 60; i++) values = twist.step(wants({ x: 1, yaw: 1 }), 1 / 30, 0.4)
  expect(values[0]).toBeCloseTo(0.4 * LINEAR_MAX_M_S)
  expect(values[5]).toBeCloseTo(0.4 * ANGULAR_MAX_RAD_S)
  for (let i = 0; i < 60; i++) values = twist.step(wants({ x: 1 }, { part: 1 }), 1 / 30, 0.4)
  expect(values[7]).toBeCloseTo(0.2)
})
