import { expect, test } from 'vitest'
import golden from '../../../../../tests/teleop/golden_wire.json'
import { Chain } from './chain'

/** The browser's own, which has to be waited for. */
const sha256 = async (bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
const bytes = (hex: string): Uint8Array<ArrayBuffer> => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16))
const GOLDEN = golden.filter((row) => row.message === 'command').map((row) => bytes(row.hex))
/** One more than are remembered. */
const MANY = 4097

test('the bytes of each command are hashed as they are', async () => {
  const chain = new Chain()
  expect(chain.before).toEqual(new Uint8Array(32))
  for (const [i, command] of GOLDEN.entries()) {
    chain.push(command.buffer)
    expect(chain.before).toEqual(await sha256(command))
    expect(chain.last).toBe(i + 1)
  }
})

test('what was sent is recognised by its number and its hash', async () => {
  const chain = new Chain()
  for (const command of GOLDEN) chain.push(command.buffer)
  for (const [i, command] of GOLDEN.entries()) {
    expect(chain.agrees(i + 1, await sha256(command))).toBe(true)
    expect(chain.agrees(i + 2, await sha256(command))).toBe(false)
    expect(chain.agrees(i + 1, (await sha256(command)).fill(0, 31))).toBe(false)
  }
  expect(chain.agrees(0, new Uint8Array(32))).toBe(true)
  expect(chain.agrees(0, new Uint8Array(32).fill(1))).toBe(false)
})

test('however many are sent, the newest are known, and the oldest are not doubted', async () => {
  const chain = new Chain()
  const command = (seq: number) => new Uint8Array(new Uint32Array([seq]).buffer)
  for (let seq = 1; seq <= MANY; seq++) chain.push(command(seq).buffer)
  for (const seq of [2, 100, MANY]) {
    expect(chain.agrees(seq, await sha256(command(seq)))).toBe(true)
    expect(chain.agrees(seq, await sha256(command(seq + 1)))).toBe(false)
  }
  expect(chain.agrees(1, await sha256(command(7)))).toBe(true)
  expect(chain.takeNew()?.from).toBe(2)
})
