import { expect, test } from 'vitest'
import { KEYS, motionOf, type Action } from './bindings'
import { Input, still } from './input'

const MOTIONS = (Object.entries(KEYS) as [Action, string[]][]).flatMap(([action, codes]) => {
  const [axis, sign] = motionOf(action) ?? []
  return axis && sign ? codes.map((code) => [code, { axis, sign }] as const) : []
})

test('nothing pressed is neutral, and the dead-man is released', () => {
  expect(new Input().intent(0, [1])).toEqual({ axes: still(), slow: false, part: 0, grippers: [1], deadMan: false })
})

test.each(MOTIONS)('%s moves its own axis and holds the dead-man until it is let go', (code, key) => {
  const input = new Input()
  expect(input.press(code)).toBe(true)
  expect(input.intent(0, [1])).toMatchObject({ axes: { ...still(), [key.axis]: key.sign }, deadMan: true })
  input.release(code)
  expect(input.intent(1, [1])).toMatchObject({ axes: still(), deadMan: false })
})

test('opposite keys cancel, and still hold the dead-man', () => {
  const input = new Input()
  input.press('KeyW')
  input.press('KeyS')
  expect(input.intent(0, [1])).toMatchObject({ axes: still(), deadMan: true })
})

test('two keys of one direction are no faster than one', () => {
  const input = new Input()
  input.press('KeyR')
  input.press('KeyE')
  expect(input.intent(0, [1]).axes.z).toBe(1)
})

test('shift alone is slow and never holds the dead-man', () => {
  const input = new Input()
  expect(input.press('ShiftLeft')).toBe(true)
  expect(input.intent(0, [1])).toMatchObject({ slow: true, deadMan: false })
})

test('a key that is not ours is left to the page', () => {
  expect(new Input().press('KeyP')).toBe(false)
  expect(new Input().release('KeyP')).toBe(false)
})

test('a pad that is touched in its middle holds the dead-man without moving', () => {
  const input = new Input()
  input.hold('move', { x: 0, y: 0 })
  expect(input.intent(0, [1])).toMatchObject({ axes: still(), deadMan: true })
  input.hold('move', null)
  expect(input.intent(0, [1]).deadMan).toBe(false)
})

test('a pad and a key add up, to no more than the whole', () => {
  const input = new Input()
  input.press('KeyW')
  input.hold('move', { x: 0.5, y: -0.25 })
  expect(input.intent(0, [1]).axes).toEqual({ ...still(), x: 1, y: -0.25 })
})

test('letting go of everything releases keys, pads and the gripper', () => {
  const input = new Input()
  input.press('KeyW')
  input.press('ShiftRight')
  input.hold('move', { x: 1 })
  input.toggleGripper(0)
  input.neutral()
  expect(input.intent(1, [1])).toMatchObject({ axes: still(), slow: false, deadMan: false })
})

test('the gripper holds the dead-man for a moment, then for as long as it gets nearer', () => {
  const input = new Input()
  input.toggleGripper(0)
  expect(input.intent(0, [1])).toMatchObject({ grippers: [0], deadMan: true })
  for (let ms = 50; ms <= 950; ms += 50) expect(input.intent(ms, [1 - ms / 1000]).deadMan).toBe(true)
  expect(input.intent(1000, [0]).deadMan).toBe(false)
})

test('a gripper that closes on a thing lets go of the dead-man', () => {
  const input = new Input()
  input.toggleGripper(0)
  let opening = 1
  for (let ms = 0; ms <= 400; ms += 50) input.intent(ms, [(opening = Math.max(0.55, 1 - ms / 500))])
  expect(input.intent(700, [opening])).toMatchObject({ grippers: [0], deadMan: false })
})

test('a gripper that creeps for ever lets go in the end', () => {
  const input = new Input()
  input.toggleGripper(0)
  for (let ms = 0; ms < 2500; ms += 50) input.intent(ms, [1 - ms / 5000])
  expect(input.intent(2600, [0.48]).deadMan).toBe(false)
})

test('an episode begins with the gripper wanted as it is seen', () => {
  const input = new Input()
  input.adoptGrippers([0.1])
  expect(input.intent(0, [0.1])).toMatchObject({ grippers: [0], deadMan: false })
})

test('another hand keeps what its gripper was told, and what is held is let go', () => {
  const input = new Input()
  input.adoptGrippers([1, 0.2])
  input.toggleGripper(0)
  input.press('KeyW')
  input.choose(1)
  expect(input.intent(1, [1, 0])).toEqual({ axes: still(), slow: false, part: 1, grippers: [0, 0], deadMan: false })
  input.toggleGripper(2)
  expect(input.intent(2, [1, 0]).grippers).toEqual([0, 1])
  input.choose(2)
  input.toggleGripper(3)
  expect(input.intent(3, [1, 1]).grippers).toEqual([0, 1])
})

test('a device that is held while everything is let go of must be let go of before it counts again', () => {
  const input = new Input()
  input.hold('gamepad', { x: 1 })
  input.neutral()
  input.hold('gamepad', { x: 1 })
  expect(input.intent(0, [1])).toMatchObject({ axes: still(), deadMan: false })
  input.hold('gamepad', null)
  input.hold('gamepad', { x: 1 }, true)
  expect(input.intent(0, [1])).toMatchObject({ axes: { ...still(), x: 1 }, slow: true, deadMan: true })
})

test('a key does what it is bound to', () => {
  const input = new Input((code) => (code === 'KeyI' ? 'x+' : undefined))
  expect(input.press('KeyW')).toBe(false)
  expect(input.press('KeyI')).toBe(true)
  expect(input.intent(0, [1]).axes.x).toBe(1)
})
