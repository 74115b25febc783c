import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Profile } from './binding'
import type { Pad } from './gamepad'
import { Pads } from './pads.svelte'

/** A pad as browsers give it: its values are getters of the prototype. */
class Plugged implements Pad {
  now = { axes: [0, 0, 0, 0], down: [] as number[], connected: true }
  readonly #id: string
  readonly #mapping: string
  constructor(id: string, mapping: string, axes: number[]) {
    this.#id = id
    this.#mapping = mapping
    this.now.axes = axes
  }
  get id() { return this.#id }
  get mapping() { return this.#mapping }
  get connected() { return this.now.connected }
  get axes() { return this.now.axes }
  get buttons() { return Array.from({ length: 17 }, (_, i) => ({ value: this.now.down.includes(i) ? 1 : 0 })) }
}

let pad: Plugged
let nowMs = 0
const kept = new Map<string, string>()
const PROFILE: Profile = { rest: [0, 0, -1], controls: { 'a0+': 'a0+', 'a1+': 'a1+', b7: 'a2+', b1: 'b1' } }

/** What is read after a while in which nothing changes. */
function still(pads: Pads): Pad | null {
  for (let i = 0; i < 30; i++) pads.read((nowMs += 16))
  return pads.read((nowMs += 16))
}

beforeEach(() => {
  kept.clear()
  vi.stubGlobal('navigator', { getGamepads: () => [null, pad] })
  vi.stubGlobal('localStorage', { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) })
})
afterEach(() => vi.unstubAllGlobals())

test('a standard pad may drive once it has rested, counted from its drift', () => {
  pad = new Plugged('Pad', 'standard', [0.12, 0, 0, 0])
  const pads = new Pads()
  expect(pads.read((nowMs += 16))).toBeNull()
  expect(pads.plugged?.state).toBe('resting')
  expect(still(pads)?.axes).toEqual([0, 0, 0, 0])
  expect(pads.plugged).toEqual({ id: 'Pad', standard: true, state: 'ready' })
  pad.now = { ...pad.now, axes: [1, 0, 0, 0], down: [7] }
  const read = pads.read((nowMs += 16))
  expect(read?.axes[0]).toBe(1)
  expect(read?.buttons[7]?.value).toBe(1)
})

test('a standard pad whose stick is held when it comes does not drive until it was let go of', () => {
  pad = new Plugged('Pad', 'standard', [0, -1, 0, 0])
  const pads = new Pads()
  expect(still(pads)).toBeNull()
  pad.now = { ...pad.now, axes: [0, 0, 0, 0] }
  expect(still(pads)).not.toBeNull()
})

test('an unknown pad never drives, whatever it says', () => {
  pad = new Plugged('Strange', '', [0, 0, -1])
  const pads = new Pads()
  expect(still(pads)).toBeNull()
  expect(pads.plugged?.state).toBe('unknown')
  pad.now = { ...pad.now, down: [5, 7] }
  expect(still(pads)).toBeNull()
})

test('one that was bound drives at once, and after the next visit once it has rested', () => {
  pad = new Plugged('Strange', '', [0, 0, -1])
  const pads = new Pads()
  pads.read(nowMs)
  pads.bind('Strange', PROFILE)
  pad.now = { ...pad.now, axes: [1, 0, 1] }
  expect(pads.read((nowMs += 16))?.buttons[7]?.value).toBe(1)

  const later = new Pads()
  expect(still(later), 'its stick and trigger are held').toBeNull()
  pad.now = { ...pad.now, axes: [0, 0, 0] } // a trigger that was not moved yet says 0
  expect(still(later)?.buttons[7]?.value).toBe(0)
  pad.now = { ...pad.now, axes: [1, 0, 1] }
  expect(later.read((nowMs += 16))?.axes[0]).toBe(1)
})

test('another pad is learned anew, and what another has bound is not its', () => {
  pad = new Plugged('Strange', '', [0, 0, -1])
  const pads = new Pads()
  pads.read(nowMs)
  pads.bind('Strange', PROFILE)
  pad = new Plugged('Stranger', '', [0, 0, -1])
  expect(still(pads)).toBeNull()
  expect(pads.plugged).toEqual({ id: 'Stranger', standard: false, state: 'unknown' })
})
