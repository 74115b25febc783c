import { expect, test } from 'vitest'
import { GAMEPAD, rebound } from './bindings'
import { chosen, controlsOf, GamepadReader, type Pad, pressedOf } from './gamepad'

const pad = (axes: number[] = [0, 0, 0, 0], down: Record<number, number> = {}, more: Partial<Pad> = {}): Pad => ({
  id: 'Fake',
  mapping: 'standard',
  connected: true,
  axes,
  buttons: Array.from({ length: 17 }, (_, i) => ({ value: down[i] ?? 0 })),
  ...more,
})
const RT = 7
const read = (from: Pad, bound = GAMEPAD) => new GamepadReader().read(from, bound)

test('a stick without the dead-man moves nothing', () => {
  expect(read(pad([1, 1, 1, 1])).axes).toBeNull()
})

test.each([5, 7])('button %d is the dead-man', (button) => {
  expect(read(pad(undefined, { [button]: 1 })).axes).toEqual({ x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0 })
})

test.each([
  [[0, -1, 0, 0], {}, 'x', 1],
  [[0, 1, 0, 0], {}, 'x', -1],
  [[-1, 0, 0, 0], {}, 'y', 1],
  [[0, 0, 0, -1], {}, 'z', 1],
  [[0, 0, 1, 0], {}, 'yaw', -1],
  [[0, 0, 0, 0], { 12: 1 }, 'pitch', 1],
  [[0, 0, 0, 0], { 14: 1 }, 'roll', -1],
])('sticks %j with buttons %j move %s by %d', (axes, down, axis, value) => {
  expect(read(pad(axes, { ...down, [RT]: 1 })).axes).toEqual({ x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0, [axis]: value })
})

test('a stick near its middle is dead, and begins slowly beyond it', () => {
  expect(controlsOf(pad([0.1, 0.1, 0, 0])).get('a0+')).toBe(0)
  expect(controlsOf(pad([0.2, 0, 0, 0])).get('a0+')).toBeCloseTo(0.0588, 3)
  expect(controlsOf(pad([0, 1, 0, 0])).get('a1+')).toBe(1)
})

test('an order is given once for each press', () => {
  const reader = new GamepadReader()
  const orders = [0, 1, 1, 0, 1].map((value) => reader.read(pad(undefined, { 0: value }), GAMEPAD).orders)
  expect(orders).toEqual([[], ['gripper'], [], [], ['gripper']])
})

test('a held bumper is slow', () => {
  expect(read(pad(undefined, { 4: 1 })).slow).toBe(true)
})

test('a control does what it is bound to', () => {
  const bound = rebound(rebound(GAMEPAD, 'z+', 'b6'), 'hold', 'b10')
  expect(read(pad(undefined, { 6: 0.6, 10: 1 }), bound).axes).toMatchObject({ z: 0.6 })
  expect(read(pad(undefined, { 6: 0.6, [RT]: 1 }), bound).axes).toBeNull()
})

test('the standard mapping goes before another, and what is unplugged is not used', () => {
  const other = pad(undefined, {}, { mapping: '', id: 'Wheel' })
  expect(chosen([null, other, pad()])?.id).toBe('Fake')
  expect(chosen([null, other])?.id).toBe('Wheel')
  expect(chosen([pad(undefined, {}, { connected: false })])).toBeNull()
})

test('a person who chooses a control moves it', () => {
  expect(pressedOf(pad())).toBeNull()
  expect(pressedOf(pad([0, -0.9, 0, 0]))).toBe('a1-')
  expect(pressedOf(pad(undefined, { 3: 1 }))).toBe('b3')
})
