import type { Hex } from 'viem'
import { expect, test } from 'vitest'
import golden from '../../../../../tests/teleop/golden_typed_data.json'
import { digest, StatementError, typedData, walletJson, type StatementName, type Values } from './typed'
import { keyWallet } from './wallet'

type Row = (typeof golden)[number]

const valuesOf = (row: Row): Values =>
  Object.fromEntries(
    Object.entries(row.values as Record<string, string>).map(([name, value]) => [
      name,
      name.endsWith('Ms') ? BigInt(value) : value,
    ]),
  )

const dataOf = (row: Row) => typedData(row.domain, row.statement as StatementName, valuesOf(row))

test.each(golden)('the digest of a $statement is the one that Python computes', (row) => {
  expect(digest(dataOf(row))).toBe(row.digest)
})

test.each(golden)('the signature of a $statement is the one that Python makes', async (row) => {
  expect(await keyWallet(row.key as Hex).signTyped(dataOf(row))).toBe(row.signature)
})

test('a statement with a field missing is never built', () => {
  const row = golden[1] as Row
  const { previous: _, ...rest } = valuesOf(row)
  expect(() => typedData(row.domain, 'Episode', rest)).toThrow(StatementError)
})

test('a statement with a field too many is never built', () => {
  const row = golden[1] as Row
  expect(() => typedData(row.domain, 'Episode', { ...valuesOf(row), pay: '1' })).toThrow(StatementError)
})

test('a wallet is handed the domain type and decimal integers', () => {
  const sent = JSON.parse(walletJson(dataOf(golden[1] as Row)))
  expect(sent.types.EIP712Domain.map((field: { name: string }) => field.name)).toEqual([
    'name',
    'version',
    'chainId',
    'verifyingContract',
  ])
  expect(sent.message.endedMs).toBe('18446744073709551615')
  expect(sent.primaryType).toBe('Episode')
})
