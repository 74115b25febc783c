import { expect, test } from 'vitest'
import { parseReport, SpaceMouse } from './spacemouse'

const bytes = (...all: number[]) => new DataView(new Uint8Array(all).buffer)
const [FULL, BACK] = [[0x5e, 0x01], [0xa2, 0xfe]] // 350 and -350, little-endian
const NONE = [0, 0]

function after(...reports: [id: number, data: number[]][]) {
  const mouse = new SpaceMouse()
  for (const [id, data] of reports) {
    const report = parseReport(id, bytes(...data))
    if (report) mouse.hear(report, 0)
  }
  return mouse
}

test('the older devices say shift and turn apart, the newer together', () => {
  expect(parseReport(1, bytes(...FULL, ...BACK, ...NONE))).toEqual({ shift: [350, -350, 0] })
  expect(parseReport(2, bytes(...NONE, ...NONE, ...FULL))).toEqual({ turn: [0, 0, 350] })
  const whole = bytes(...FULL, ...NONE, ...NONE, ...NONE, ...NONE, ...BACK)
  expect(parseReport(1, whole)).toEqual({ shift: [350, 0, 0], turn: [0, 0, -350] })
  expect(parseReport(3, bytes(0b10, 0))).toEqual({ buttons: 2 })
})

test.each([
  [1, []],
  [1, [1, 2, 3]],
  [2, [1]],
  [3, []],
  [23, [1, 2, 3, 4, 5, 6]],
])('report %d of %j says nothing', (id, data) => {
  expect(parseReport(id, bytes(...data))).toBeNull()
})

const STILL = { x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0 }

test.each([
  ['away', 1, [...NONE, ...BACK, ...NONE], { x: 1 }],
  ['to the left', 1, [...BACK, ...NONE, ...NONE], { y: 1 }],
  ['up', 1, [...NONE, ...NONE, ...BACK], { z: 1 }],
  ['turned left', 2, [...NONE, ...NONE, ...BACK], { yaw: 1 }],
  ['tilted forward', 2, [...BACK, ...NONE, ...NONE], { pitch: 1 }],
  ['rolled right', 2, [...NONE, ...BACK, ...NONE], { roll: 1 }],
])('the cap %s moves the hand so', (_, id, data, axes) => {
  expect(after([id, data]).axes(10)).toEqual({ ...STILL, ...axes })
})

test('the cap in its middle, or nearly, is let go', () => {
  expect(after().axes(0)).toBeNull()
  expect(after([1, [20, 0, 0, 0, 0, 0]]).axes(0)).toBeNull()
  expect(after([1, [...FULL, ...NONE, ...NONE]], [1, [...NONE, ...NONE, ...NONE]]).axes(0)).toBeNull()
})

test('a device that says nothing any more is let go', () => {
  const mouse = after([1, [...FULL, ...NONE, ...NONE]])
  expect(mouse.axes(200)).not.toBeNull()
  expect(mouse.axes(300)).toBeNull()
})

test('a button is told once for each press', () => {
  const mouse = new SpaceMouse()
  expect([1, 1, 3, 0, 1].map((buttons) => mouse.hear({ buttons }, 0))).toEqual([[0], [], [1], [], [0]])
})
