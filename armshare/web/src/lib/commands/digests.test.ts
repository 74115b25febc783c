import { expect, test } from 'vitest'
import { bytesOf, Digests, hexOf } from './digests'

const MOST = 2 ** 20
const of = (...numbers: number[]) => {
  const bytes = new Uint8Array(32 * numbers.length)
  numbers.forEach((number, i) => new DataView(bytes.buffer).setUint32(32 * i, number))
  return bytes
}
const numbered = (from: number, count: number) => of(...Array.from({ length: count }, (_, i) => from + i))
const at = (digests: Digests, i: number) => new DataView(digests.bytes.buffer).getUint32(32 * i)

test('what was added stays, and what was given out does not change', () => {
  const digests = new Digests()
  expect(digests.push(of(1, 2))).toBe(0)
  const given = digests.bytes
  for (let i = 3; i < 5000; i++) digests.push(of(i))
  expect([at(digests, 0), at(digests, 4998), digests.bytes.length]).toEqual([1, 4999, 32 * 4999])
  expect(given).toEqual(of(1, 2))
})

test('however many are added, they take no more than 32 MiB, and the newest are there', () => {
  const digests = new Digests()
  let dropped = 0
  for (let i = 0; i < MOST + 100_000; i += 50_000) dropped += digests.push(numbered(i, 50_000))
  const count = digests.bytes.length / 32
  expect(digests.bytes.buffer.byteLength).toBeLessThanOrEqual(32 * MOST)
  expect(dropped).toBe(MOST / 4)
  expect([at(digests, 0), at(digests, count - 1)]).toEqual([dropped, dropped + count - 1])
})

test('hex is read as it was written', () => {
  expect(hexOf(Uint8Array.of(0, 9, 255))).toBe('0009ff')
  expect(bytesOf('0009ff')).toEqual(Uint8Array.of(0, 9, 255))
})
