import { expect, test } from 'vitest'
import { coloured, readDepth, spanOf } from './depth'

/** By OpenCV, as recordings have them, of rows with filters of several kinds. */
const PLAIN = 'iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGEAAAAACL/lxkAAAAM0lEQVQIHQXBQQHAIAAAIVkYC1jCLqtkM5vcSzDGNyVJYkmSJLYkSeKXJEkcSZLElSRJDwDwKsSQAjibAAAAAElFTkSuQmCC'
const UNEVEN =
  'iVBORw0KGgoAAAANSUhEUgAAABAAAAAYEAAAAACGW/6TAAABOElEQVQoFRXBiZEkOAgAMGFM/kHOvlO9EWCbq5MiPxaup7V2pKUQSkb+RShPWtrYQktpO5FftkZ7GKO1oy2syJ9CGpRUxlJWbMsykR9HWDbGM1i2VniR38L1LIEnjWe7riUiv7SxjfRcaWttecKJ/BhbWq7UwihXaSEiP55t2a5U2lgOQqrI3wbloo0SnhJKE/mRBoMrtfGktJSK/Ok4UilL2dqxtbJV5C8HZWxju3iuLR0V+c81WMZRlpbSFejIf5anHelgK1djCx357bnGVo6Qruu6tutG/nCkJ4UtpNQCz5jIP9IWlrKMFq7QtnIiP0YrpYUtjW072jGRP7Rr4SlLKOlo2+jIP8YYz//KktpTLnbkt+0gPKGkp13XdmXkLwsllJIitnLFHMeK/LJsxzK2EsIS0pX8B9qNrYqOZW8jAAAAAElFTkSuQmCC'
const bytes = (text: string) => Uint8Array.from(atob(text), (each) => each.charCodeAt(0))

test('all sixteen bits of depth are read, whatever filters its rows have', async () => {
  const plain = await readDepth(bytes(PLAIN))
  expect([plain.width, plain.height]).toEqual([8, 6])
  expect([...plain.values.slice(0, 9)]).toEqual([0, 550, 800, 1050, 1300, 1550, 1800, 2050, 307])
  expect(plain.values.at(-1)).toBe(2225)
  const uneven = await readDepth(bytes(UNEVEN))
  expect(uneven.values.reduce((sum, each) => sum + each, 0)).toBe(384_896)
  expect([...uneven.values.slice(-16)]).toEqual([995, 997, 1001, 997, 999, 998, 1002, 1007, 1008, 1009, 1011, 1012, 1015, 1012, 1015, 1015])
})

test('what is no such picture is refused', async () => {
  await expect(readDepth(bytes(btoa('no png at all')))).rejects.toThrow('expected a PNG')
  await expect(readDepth(bytes(PLAIN).slice(0, 60))).rejects.toThrow('a part of it')
  const eight = bytes(PLAIN)
  eight[24] = 8
  await expect(readDepth(eight)).rejects.toThrow('16 bits')
  const wide = bytes(PLAIN)
  wide[19] = 9
  await expect(readDepth(wide)).rejects.toThrow('rows of 9 pixels')
})

test('near is light and far is dark, and what was not measured is neither', () => {
  const depth = { width: 4, height: 1, values: Uint16Array.of(0, 400, 1000, 2000) }
  const span = spanOf(depth)
  expect(span).toEqual({ near: 400, far: 2000 })
  const pixels = coloured(depth, span)
  expect([...pixels.slice(4, 8)]).toEqual([253, 231, 37, 255])
  expect([...pixels.slice(12, 16)]).toEqual([68, 1, 84, 255])
  expect([...pixels.slice(0, 4)]).toEqual([18, 22, 20, 255])
})

test('a picture in which nothing was measured, or all of it as far, has a span', () => {
  expect(spanOf({ width: 1, height: 1, values: Uint16Array.of(0) })).toEqual({ near: 0, far: 1 })
  expect(spanOf({ width: 2, height: 1, values: Uint16Array.of(7, 7) })).toEqual({ near: 7, far: 8 })
})
