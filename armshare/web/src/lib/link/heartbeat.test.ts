import { sha256 as digest } from 'viem'
import { expect, test } from 'vitest'
import { Heartbeat } from './heartbeat'
import { Input, still } from '../hands/input'
import { releasing } from '../hands/release'
import { LINEAR_MAX_M_S } from '../hands/twist'
import type { Command } from './wire'
import { decodeCommand, encodeState } from './wire.testing'

const EPOCH = 7
const TICK_MS = 1000 / 30

const ZEROS = new Uint8Array(32)
const sha256 = (bytes: ArrayBuffer): Uint8Array => digest(new Uint8Array(bytes), 'bytes')

class FakePage extends EventTarget {
  hidden = false
}

/** An operator who holds a lease and a key, with everything between the key and the socket. */
function operator() {
  const [heartbeat, input, window, page] = [new Heartbeat(), new Input(), new EventTarget(), new FakePage()]
  let nowMs = 1000
  const sent: ArrayBuffer[] = []
  heartbeat.lease(EPOCH)
  heartbeat.reset([1])
  const send = () => heartbeat.want(input.intent(nowMs, [1]), nowMs)
  releasing(window, page, () => {
    input.neutral()
    send()
  })
  /** What the robot obeys: the newest command, unless a test says otherwise. */
  const newest = () => ({ applied: sent.length, commands: sent.length > 0 ? sha256(sent.at(-1) as ArrayBuffer) : ZEROS })
  /** A state comes, `lateMs` after its command was sent; of an older number, if one is given. */
  const state = (lateMs = 20, seq = Math.round(nowMs), obeyed: { applied: number; commands: Uint8Array; epoch?: number } = newest()) =>
    heartbeat.hear(
      encodeState({
        safety: 'driving',
        recording: true,
        succeeded: false,
        limited: false,
        limits: 0,
        epoch: EPOCH,
        seq,
        ...obeyed,
        tHostUs: BigInt(Math.round(nowMs * 1000)),
        tClientUs: BigInt(Math.round((nowMs - lateMs) * 1000)),
        progress: 0,
        values: new Float32Array(),
      }),
      nowMs,
    )
  const next = (): Command => {
    const command = heartbeat.command(nowMs) ?? new ArrayBuffer(0)
    sent.push(command)
    return decodeCommand(command)
  }
  /** The next command, a tick later; the page renews what it wants, and no state comes. */
  const blindTick = (): Command => {
    nowMs += TICK_MS
    send()
    return next()
  }
  /** The next command, a tick later, after a state; the page does not renew what it wants. */
  const tick = (): Command => {
    nowMs += TICK_MS
    state()
    return next()
  }
  /** How many ticks it takes until a command lets go. */
  const ticksUntilLetGo = (next: () => Command): number => {
    for (let ticks = 1; ticks < 100; ticks++) if (!next().deadMan) return ticks
    return Infinity
  }
  input.press('KeyW')
  send()
  return { heartbeat, input, window, page, send, tick, blindTick, ticksUntilLetGo, state, sent, newest }
}

test('a held key is a command with the dead-man held', () => {
  const { tick } = operator()
  expect(tick()).toMatchObject({ mode: 'ee_twist', deadMan: true, epoch: EPOCH, seq: 1 })
})

const LOST: [string, (at: ReturnType<typeof operator>) => void][] = [
  ['the window loses the focus', ({ window }) => window.dispatchEvent(new Event('blur'))],
  [
    'the tab is hidden',
    ({ page }) => {
      page.hidden = true
      page.dispatchEvent(new Event('visibilitychange'))
    },
  ],
  ['a gamepad is unplugged', ({ window }) => window.dispatchEvent(new Event('gamepaddisconnected'))],
]

test.each(LOST)('when %s, the very next command has the dead-man released', (_, lose) => {
  const at = operator()
  at.input.hold('gamepad', { x: 1 })
  at.send()
  expect(at.tick().deadMan).toBe(true)
  lose(at)
  expect(at.tick()).toMatchObject({ mode: 'neutral', deadMan: false })
})

test('a tab that comes back is not let go of', () => {
  const at = operator()
  at.page.dispatchEvent(new Event('visibilitychange'))
  expect(at.tick().deadMan).toBe(true)
})

test('a page that hangs counts as let go', () => {
  const { tick } = operator()
  for (let i = 0; i < 7; i++) expect(tick().deadMan).toBe(true)
  tick()
  expect(tick().deadMan).toBe(false)
})

test('without a lease nothing is said', () => {
  const { heartbeat } = operator()
  heartbeat.lease(null)
  expect(heartbeat.command(2000)).toBeNull()
})

test('the robot is asked to move slower while the round trip is 300 ms or more', () => {
  const speed = (lateMs: number): number => {
    const { blindTick, state } = operator()
    let values: ArrayLike<number> = []
    for (let i = 0; i < 40; i++) {
      state(lateMs)
      values = blindTick().values
    }
    return values[0] as number
  }
  expect(speed(250)).toBeCloseTo(LINEAR_MAX_M_S)
  expect(speed(320)).toBeCloseTo(0.4 * LINEAR_MAX_M_S)
})

test('a change is said at once, the same again with the next tick', () => {
  const at = operator()
  at.tick()
  const nowMs = 1000 + TICK_MS + 20
  at.input.press('KeyA')
  expect(at.heartbeat.want(at.input.intent(nowMs, [1]), nowMs)).toBe(0)
  expect(at.heartbeat.want(at.input.intent(nowMs, [1]), nowMs)).toBeNull()
  at.input.neutral()
  expect(at.heartbeat.want(at.input.intent(nowMs, [1]), nowMs)).toBe(0)
})

test('changes without end are never a flood', () => {
  const at = operator()
  let [sent, dueMs] = [0, Infinity]
  for (let nowMs = 2000; nowMs < 3000; nowMs++) {
    at.input.hold('drag', { y: nowMs / 4000 })
    const waitMs = at.heartbeat.want(at.input.intent(nowMs, [1]), nowMs)
    if (waitMs !== null) dueMs = Math.min(dueMs, nowMs + waitMs)
    if (nowMs < dueMs && nowMs % 33 !== 0) continue
    at.heartbeat.command(nowMs)
    sent += 1
    dueMs = Infinity
  }
  expect(sent).toBeGreaterThan(100)
  expect(sent).toBeLessThan(170)
})

test('nothing held is said as neutral', () => {
  const at = operator()
  at.input.neutral()
  at.send()
  expect(at.tick()).toMatchObject({ mode: 'neutral', deadMan: false })
  expect(at.input.intent(0, [1]).axes).toEqual(still())
})

test('once no state has come for 300 ms the very next command lets go, although the key is still held', () => {
  const { tick, blindTick, ticksUntilLetGo, heartbeat } = operator()
  tick()
  const ticks = ticksUntilLetGo(blindTick)
  expect([9, 10]).toContain(ticks) // 300 ms are 9 ticks, give or take the last bit
  expect(heartbeat.letGo).toBe(true)
  for (let i = 0; i < 300; i++) expect(blindTick()).toMatchObject({ mode: 'neutral', deadMan: false })
})

test('a state that comes again moves nothing: the key must be let go of and pressed again', () => {
  const { tick, blindTick, ticksUntilLetGo, heartbeat, input, send } = operator()
  tick()
  ticksUntilLetGo(blindTick)
  for (let i = 0; i < 5; i++) {
    send()
    expect(tick().deadMan).toBe(false)
  }
  input.release('KeyW')
  send()
  expect(heartbeat.letGo).toBe(false)
  expect(tick().deadMan).toBe(false)
  input.press('KeyW')
  send()
  expect(tick().deadMan).toBe(true)
})

test('a key pressed while nothing is seen moves nothing later either', () => {
  const { tick, blindTick, ticksUntilLetGo, input, send } = operator()
  tick()
  input.neutral()
  ticksUntilLetGo(blindTick)
  for (let i = 0; i < 12; i++) blindTick()
  input.press('KeyA')
  expect(blindTick().deadMan).toBe(false)
  send()
  expect(tick().deadMan).toBe(false)
})

test.each([
  ['the same state again and again', (at: ReturnType<typeof operator>) => at.state(20, 1001)],
  ['older states', (at: ReturnType<typeof operator>) => at.state(20, 1000)],
])('%s count as none', (_, come) => {
  const at = operator()
  at.state(20, 1001)
  const ticks = at.ticksUntilLetGo(() => {
    come(at)
    return at.blindTick()
  })
  expect([9, 10]).toContain(ticks)
})

test('before the first state of a lease nothing is driven, and the first one lets a held key move', () => {
  const { blindTick, state, heartbeat } = operator()
  for (let i = 0; i < 30; i++) expect(blindTick().deadMan).toBe(false)
  expect(heartbeat.letGo).toBe(false)
  state()
  expect(blindTick().deadMan).toBe(true)
})

test('states of another lease show nothing of this one', () => {
  const { heartbeat, tick, blindTick } = operator()
  tick()
  heartbeat.lease(EPOCH + 1)
  expect(blindTick().deadMan).toBe(false)
})

test('a command carries the number of the newest state that was shown', () => {
  const { heartbeat, tick } = operator()
  expect(tick().seen).toBe(0)
  heartbeat.shown(41)
  expect(tick().seen).toBe(41)
})

test('each command holds the hash of the one before it, and a new lease begins with zeros', () => {
  const { heartbeat, tick, sent } = operator()
  expect(tick().before).toEqual(ZEROS)
  for (let i = 0; i < 5; i++) expect(tick().before).toEqual(sha256(sent.at(-2) as ArrayBuffer))
  heartbeat.lease(EPOCH + 1)
  const first = decodeCommand(heartbeat.command(2000) ?? new ArrayBuffer(0))
  expect(first).toMatchObject({ epoch: EPOCH + 1, seq: 1, before: ZEROS })
})

test('what was made is told once, in order, with its hash', () => {
  const { heartbeat, tick, sent } = operator()
  expect(heartbeat.takeNew()).toBeNull()
  for (let i = 0; i < 3; i++) tick()
  expect(heartbeat.takeNew()).toEqual({ epoch: EPOCH, from: 1, digests: new Uint8Array(sent.flatMap((bytes) => [...sha256(bytes)])) })
  tick()
  expect(heartbeat.takeNew()).toMatchObject({ from: 4, digests: sha256(sent[3] as ArrayBuffer) })
  expect(heartbeat.takeNew()).toBeNull()
})

/** What a state may say of the newest command that was not sent from here. */
const FOREIGN: [string, (at: ReturnType<typeof operator>) => { applied: number; commands: Uint8Array }][] = [
  ['a command with one byte changed', ({ sent }) => ({ applied: sent.length, commands: sha256(changed(sent.at(-1) as ArrayBuffer)) })],
  ['a command that was never sent', ({ sent, newest }) => ({ ...newest(), applied: sent.length + 1 })],
  ['an earlier command under a later number', ({ sent }) => ({ applied: sent.length, commands: sha256(sent.at(-2) as ArrayBuffer) })],
  ['a hash of no command', () => ({ applied: 0, commands: sha256(new ArrayBuffer(1)) })],
]

function changed(bytes: ArrayBuffer): ArrayBuffer {
  const other = new Uint8Array(bytes.slice())
  other[other.length - 1] = (other.at(-1) as number) ^ 0x80
  return other.buffer
}

test.each(FOREIGN)('once the robot obeyed %s, the very next command lets go, and none drives any more', (_, obeyed) => {
  const at = operator()
  for (let i = 0; i < 3; i++) expect(at.tick().deadMan).toBe(true)
  at.state(20, undefined, obeyed(at))
  expect(at.heartbeat.foreign).toBe(true)
  for (let i = 0; i < 5; i++) expect(at.tick()).toMatchObject({ mode: 'neutral', deadMan: false })
  at.input.neutral()
  at.send()
  at.input.press('KeyW')
  at.send()
  expect(at.tick().deadMan).toBe(false)
})

test('what a robot obeyed of ours is known in any order, and another lease is none of ours', () => {
  const at = operator()
  for (let i = 0; i < 6; i++) at.tick()
  for (const applied of [2, 5, 3, 0])
    at.state(20, undefined, { applied, commands: applied ? sha256(at.sent[applied - 1] as ArrayBuffer) : ZEROS })
  at.state(20, undefined, { applied: 3, commands: sha256(new ArrayBuffer(9)), epoch: EPOCH - 1 })
  expect(at.heartbeat.foreign).toBe(false)
  expect(at.tick().deadMan).toBe(true)
})

test('a new lease is driven, whatever became of the one before', () => {
  const at = operator()
  at.tick()
  at.state(20, undefined, { applied: 1, commands: ZEROS })
  expect(at.heartbeat.foreign).toBe(true)
  at.heartbeat.lease(EPOCH + 1)
  expect(at.heartbeat.foreign).toBe(false)
})
