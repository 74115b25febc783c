import { expect, test } from 'vitest'
import { Heartbeat } from './heartbeat'
import { Input, still } from '../hands/input'
import { releasing } from '../hands/release'
import { LINEAR_MAX_M_S } from '../hands/twist'
import { decodeCommand, encodeState, type Command } from './wire'

const EPOCH = 7
const TICK_MS = 1000 / 30

class FakePage extends EventTarget {
  hidden = false
}

/** An operator who holds a lease and a key, with everything between the key and the socket. */
function operator() {
  const [heartbeat, input, window, page] = [new Heartbeat(), new Input(), new EventTarget(), new FakePage()]
  let nowMs = 1000
  heartbeat.lease(EPOCH)
  heartbeat.reset([1])
  const send = () => heartbeat.want(input.intent(nowMs, [1]), nowMs)
  releasing(window, page, () => {
    input.neutral()
    send()
  })
  const tick = (): Command => {
    nowMs += TICK_MS
    return decodeCommand(heartbeat.command(nowMs) ?? new ArrayBuffer(0))
  }
  const state = (lateMs: number) =>
    heartbeat.hear(
      encodeState({
        safety: 'driving',
        recording: true,
        succeeded: false,
        limited: false,
        limits: 0,
        epoch: EPOCH,
        seq: Math.round(nowMs),
        applied: 1,
        tHostUs: BigInt(Math.round(nowMs * 1000)),
        tClientUs: BigInt(Math.round((nowMs - lateMs) * 1000)),
        progress: 0,
        values: new Float32Array(),
      }),
      nowMs,
    )
  input.press('KeyW')
  send()
  return { heartbeat, input, window, page, send, tick, state }
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
    const { tick, state, send } = operator()
    let values: ArrayLike<number> = []
    for (let i = 0; i < 40; i++) {
      state(lateMs)
      send()
      values = tick().values
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
