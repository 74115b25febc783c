import { expect, test } from 'vitest'
import { Connection, gradeOf, gradeOfLoss } from './connection'

/** States at 20 Hz, each `delay` ms under way, that echo a command sent `trip` ms before they came. */
function after(delays: readonly number[], { trip = 40, missing = new Set<number>() } = {}): [Connection, number] {
  const connection = new Connection()
  let nowMs = 0
  delays.forEach((delay, i) => {
    if (missing.has(i)) return
    nowMs = 1000 + 50 * i + delay
    connection.take({ seq: i + 1, tHostUs: BigInt(50 * i * 1000), tClientUs: BigInt((nowMs - trip) * 1000) }, nowMs)
  })
  return [connection, nowMs]
}

test('before the first state nothing is known, and nothing is held against it', () => {
  expect(new Connection().health(5)).toEqual({ roundTripMs: null, jitterMs: 0, loss: 0, ageMs: null, grade: 'good' })
})

test('an even connection has its round trip, and neither jitter nor loss nor age', () => {
  const [connection, nowMs] = after(Array(30).fill(20))
  expect(connection.health(nowMs)).toEqual({ roundTripMs: 40, jitterMs: 0, loss: 0, ageMs: 0, grade: 'good' })
})

test('one late echo does not move the round trip', () => {
  const [connection, nowMs] = after(Array(30).fill(20))
  connection.take({ seq: 31, tHostUs: 1_500_000n, tClientUs: BigInt((nowMs - 900) * 1000) }, nowMs + 50)
  expect(connection.health(nowMs + 50).roundTripMs).toBe(40)
})

test('an uneven connection has jitter', () => {
  const [connection, nowMs] = after(Array.from({ length: 100 }, (_, i) => (i % 2 ? 50 : 20)))
  expect(connection.health(nowMs).jitterMs).toBeCloseTo(30, 0)
})

test('states that do not come are loss', () => {
  const [connection, nowMs] = after(Array(160).fill(20), { missing: new Set([60, 70, 71, 90]) })
  expect(connection.health(nowMs)).toMatchObject({ loss: expect.closeTo(0.04, 2), grade: 'good' })
})

test('what did not come while the page began, or before a command was answered, is no loss', () => {
  const [connection, nowMs] = after(Array(100).fill(20), { missing: new Set(Array.from({ length: 18 }, (_, i) => 2 * i + 1)) })
  expect(connection.health(nowMs)).toMatchObject({ loss: 0, grade: 'good' })
  const unanswered = new Connection()
  for (const seq of [1, 50, 100]) unanswered.take({ seq, tHostUs: BigInt(50_000 * seq), tClientUs: 0n }, 50 * seq)
  expect(unanswered.health(5000).loss).toBe(0)
})

test('one state that is missed at first is one of a hundred', () => {
  const [connection, nowMs] = after(Array(44).fill(20), { missing: new Set([42]) })
  expect(connection.health(nowMs).loss).toBeCloseTo(0.01)
})

test.each([
  [0.049, 'good'],
  [0.05, 'fair'],
  [0.149, 'fair'],
  [0.15, 'slow'],
  [0.51, 'slow'],
])('a loss of %d is %s, and the word says so', (loss, grade) => {
  expect(gradeOfLoss(loss)).toBe(grade)
})

test('where half of the states do not come the connection is not called good, though each is in time', () => {
  const [connection, nowMs] = after(Array(160).fill(20), { missing: new Set(Array.from({ length: 50 }, (_, i) => 60 + 2 * i)) })
  expect(connection.health(nowMs)).toMatchObject({ roundTripMs: 40, ageMs: 0, grade: 'slow' })
})

test('a state gets older while none comes after it, and was old where it came late', () => {
  const [connection, nowMs] = after([...Array(30).fill(20), 150])
  expect(connection.health(nowMs).ageMs).toBe(130)
  expect(connection.health(nowMs + 200)).toMatchObject({ ageMs: 330, grade: 'bad' })
})

test.each([
  [0, 'good'],
  [99, 'good'],
  [100, 'fair'],
  [199, 'fair'],
  [200, 'slow'],
  [299, 'slow'],
  [300, 'bad'],
])('%d ms is %s', (ms, grade) => {
  expect(gradeOf(ms)).toBe(grade)
  const [connection, nowMs] = after(Array(30).fill(20), { trip: ms })
  expect(connection.health(nowMs).grade).toBe(grade)
})

test('each command counts once, and an echo of nothing, or of the future, not at all', () => {
  const connection = new Connection()
  const echo = (tClientUs: bigint, nowMs: number) => connection.take({ seq: nowMs, tHostUs: 0n, tClientUs }, nowMs)
  echo(0n, 5)
  echo(9_000n, 6)
  expect(connection.health(6).roundTripMs).toBeNull()
  echo(10_000n, 50)
  echo(10_000n, 900)
  expect(connection.health(900).roundTripMs).toBe(40)
})
