// The states are those of a pad that Chromium does not map: triggers on axes 2 and 5, which say 0 until they are moved
// and rest at -1 from then on; a hat on axis 6, off the scale at rest; a left stick that drifts.

import { expect, test } from 'vitest'
import { ASKED, Binder, type Profile, profileOf, standardised } from './binding'
import { GAMEPAD } from './bindings'
import { GamepadReader, type Pad } from './gamepad'
import { fromRest, Rest } from './rest'

const HAT = 1.2857
const FRESH = [0.04, -0.02, 0, 0, 0, 0, HAT]
const TOUCHED = [0.04, -0.02, -1, 0, 0, -1, HAT]
const pad = (axes: number[] = TOUCHED, down: number[] = []): Pad => ({
  id: 'Unknown pad (Vendor: 1234)',
  mapping: '',
  connected: true,
  axes,
  buttons: Array.from({ length: 11 }, (_, i) => ({ value: down.includes(i) ? 1 : 0 })),
})
const axis = (i: number, value: number, from = TOUCHED) => from.map((at, j) => (j === i ? value : at))

/** A person and a clock: each state is held for a while. */
class Hands {
  nowMs = 0
  readonly #heldMs: number
  readonly binder = new Binder()
  /** What the pad says when nobody touches it. */
  rest = [...FRESH]

  constructor(heldMs = 80) {
    this.#heldMs = heldMs
  }

  hold(state: Pad, ms = 400): void {
    for (const end = this.nowMs + ms; this.nowMs < end; this.nowMs += 16) this.binder.hear(state, this.nowMs)
  }

  push(i: number, ...values: number[]): void {
    for (const value of values) this.hold(pad(axis(i, value, this.rest)), this.#heldMs)
    this.hold(pad(this.rest))
  }

  press(button: number): void {
    this.hold(pad(this.rest, [button]), this.#heldMs)
    this.hold(pad(this.rest))
  }

  /** Pull a trigger for the first time: from then on it rests at its end. */
  pull(i: number): void {
    for (const value of [-0.9, 0.2, 1, 0.1]) this.hold(pad(axis(i, value, this.rest)), value === 1 ? this.#heldMs : 50)
    this.rest = axis(i, -1, this.rest)
    this.hold(pad(this.rest))
  }
}

/** Bind all of it, holding each control so long. */
function bound(heldMs = 80): Profile {
  const hands = new Hands(heldMs)
  hands.hold(pad(FRESH))
  hands.push(0, 0.5, 1)
  hands.push(1, 1)
  hands.push(3, 1)
  hands.push(4, 1)
  hands.pull(5)
  for (const button of [1, 0, 2, 3, 4]) hands.press(button)
  for (const value of [-1, 0.143, 0.714, -0.428]) hands.push(6, value)
  hands.press(7)
  hands.press(6)
  expect(hands.binder.asked).toBeNull()
  return hands.binder.profile as Profile
}

test('what is pressed when it is asked for is bound, whichever way the axis goes', () => {
  expect(bound().controls).toEqual({
    'a0+': 'a0+', 'a1+': 'a1+', 'a2+': 'a3+', 'a3+': 'a4+', b7: 'a5+', b1: 'b1', b0: 'b0', b2: 'b2', b3: 'b3', b4: 'b4',
    b12: 'a6=-1.00', b13: 'a6=0.14', b14: 'a6=0.71', b15: 'a6=-0.43', b9: 'b7', b8: 'b6',
  })
})

test('what is held for long is bound like what is pressed shortly: held still is not let go of', () => {
  expect(bound(1500)).toEqual(bound())
})

test('a stick is bound the way it is pushed, and answers one question only', () => {
  const hands = new Hands(1000)
  hands.hold(pad(FRESH))
  hands.push(3, -1)
  hands.push(3, 1)
  expect(hands.binder.asked?.step).toBe(2)
})

test('with everything at rest, triggers at -1 too, nothing is asked of the robot', () => {
  const read = new GamepadReader().read(standardised(pad(), bound()), GAMEPAD)
  expect(read).toEqual({ axes: null, slow: false, orders: [] })
})

test('a bound pad drives like a standard one: the trigger is the dead-man, and the sticks move from their rest', () => {
  const profile = bound()
  const pulled = axis(5, 1)
  const read = (axes: number[]) => new GamepadReader().read(standardised(pad(axes), profile), GAMEPAD).axes
  expect(read(pulled)).toEqual({ x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 0 })
  expect(read(axis(1, -1, pulled))?.x).toBeCloseTo(1, 1)
  expect(read(axis(3, -1, pulled))?.yaw).toBeCloseTo(1, 1)
  expect(read(axis(6, -1, pulled))).toMatchObject({ pitch: 1, roll: 0 })
  expect(read(axis(1, -1))).toBeNull()
})

test('one control is not bound twice, and a button is no stick', () => {
  const hands = new Hands()
  hands.hold(pad(FRESH))
  hands.press(3)
  expect(hands.binder.complaint).toContain('A stick is needed')
  hands.push(0, 1)
  hands.push(0, -1)
  expect(hands.binder.complaint).toContain('taken')
  expect(hands.binder.asked?.control).toBe('a1+')
})

test('a control that the pad lacks can be skipped, but not the stop or the dead-man', () => {
  const hands = new Hands()
  hands.hold(pad(FRESH))
  hands.binder.skip()
  expect(hands.binder.asked?.control).toBe('a0+')
  hands.push(0, 1)
  hands.push(1, 1)
  hands.binder.skip()
  expect(hands.binder.asked?.control).toBe('a3+')
  hands.binder.skip()
  hands.binder.skip()
  expect(hands.binder.asked?.control).toBe('b7')
})

test('nothing is taken before everything has been let go of', () => {
  const hands = new Hands()
  for (const value of [1, 0.8, 1, 0.8]) hands.hold(pad(axis(0, value, FRESH)), 100)
  expect(hands.binder.waiting).toBe(true)
  expect(hands.binder.asked?.step).toBe(1)
})

test('what was kept is used only if it is whole', () => {
  const profile = bound()
  expect(profileOf(JSON.parse(JSON.stringify(profile)))).toEqual(profile)
  const { b1: _, ...without } = profile.controls
  const broken = [null, 'x', {}, { rest: ['a'], controls: {} }, { ...profile, controls: without }, { ...profile, controls: { ...profile.controls, b0: 'x9' } }]
  for (const kept of broken) expect(profileOf(kept)).toBeNull()
})

test('every control is asked for once', () => {
  const controls = ASKED.map(([control]) => control)
  expect(new Set(controls).size).toBe(controls.length)
})

test('a pad is at rest once nothing of it has moved for a moment', () => {
  const rest = new Rest()
  expect(rest.hear(pad(FRESH), 0)).toBeNull()
  expect(rest.hear(pad(axis(0, 0.5, FRESH)), 200)).toBeNull()
  expect(rest.hear(pad(axis(0, 0.5, FRESH)), 400)).toBeNull()
  expect(rest.hear(pad(FRESH, [2]), 800)).toBeNull()
  expect(rest.hear(pad(FRESH), 900)).toBeNull()
  expect(rest.hear(pad(FRESH), 1300)).toEqual(FRESH)
})

test.each([[1, 0, 1], [-1, -1, 0], [1, -1, 1], [0, -1, 0.5], [-1, 1, -1], [0.5, 0.5, 0], [1, 1, 0]])('%d from a rest at %d is %d', (value, rest, away) => {
  expect(fromRest(value, rest)).toBeCloseTo(away)
})
