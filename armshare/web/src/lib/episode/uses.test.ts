import { expect, test } from 'vitest'
import { readUses } from './uses'

test('who may read it and who was given what are told in words', () => {
  const found = readUses({
    readers: [
      { wallet: '0x1', because: 'operator', dataset: null },
      { wallet: '0x2', because: 'dataset', dataset: 'lab/kitchen' },
      { wallet: '0x3', because: 'of a newer hub', dataset: null },
    ],
    uses: [{ wallet: '0x2', what: 'key', purpose: 'a paper', first_ms: 1, last_ms: 2, times: 3 }],
  })
  expect(found?.readers.map(({ because }) => because)).toEqual(['drove it', 'reads the data set lab/kitchen', 'may read it'])
  expect(found?.uses).toEqual([{ wallet: '0x2', what: 'the key to the recording', purpose: 'a paper', last_ms: 2, times: 3 }])
})

test.each([null, 'x', [], 3])('%j tells nothing', (answer) => {
  expect(readUses(answer)?.uses ?? []).toEqual([])
})

test('what cannot be right is left out', () => {
  expect(readUses({ readers: [{}, { wallet: 3 }], uses: [{ wallet: '0x1', last_ms: 'x' }] })).toEqual({ readers: [], uses: [] })
})
