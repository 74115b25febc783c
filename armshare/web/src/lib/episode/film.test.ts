import { expect, test } from 'vitest'
import type { Film } from './answers'
import { blocksOf, feed, h264Of, keyBefore, pictureAt } from './film'

/** Pictures of these sizes, ten a second from -0.05 s on, each `gop`th one a key. */
function film(count: number, gop = 1, size = 1000): Film {
  return {
    camera: 'desk',
    codec: 'h264',
    width: 320,
    height: 240,
    unit_m: 0,
    at: Float64Array.from({ length: count + 1 }, (_, i) => 5000 + size * i),
    t_s: Float32Array.from({ length: count }, (_, i) => i / 10 - 0.05),
    key: Uint8Array.from({ length: count }, (_, i) => Number(i % gop === 0)),
    marks: new Uint8Array(count),
  }
}

test.each([
  [-1, 0],
  [0, 0],
  [0.049, 0],
  [0.06, 1],
  [0.149, 1],
  [99, 29],
])('at %f s the newest picture is shown, and the first before there is one', (atS, picture) => {
  expect(pictureAt(film(30), atS)).toBe(picture)
})

test('a camera that gave nothing has no picture', () => {
  expect(pictureAt(film(0), 1)).toBeNull()
  expect(blocksOf(film(0))).toEqual([])
})

test('blocks begin with a key, cover every picture once, and are about a quarter of a megabyte', () => {
  for (const [count, gop, size] of [[95, 10, 9000], [300, 1, 12_000], [7, 7, 500_000], [1, 1, 10]] as const) {
    const one = film(count, gop, size)
    const blocks = blocksOf(one)
    expect(blocks[0]?.first).toBe(0)
    expect(blocks.at(-1)?.stop).toBe(count)
    blocks.forEach(({ first, stop }, i) => {
      expect(one.key[first]).toBe(1)
      expect(stop).toBeGreaterThan(first)
      expect(first).toBe(blocks[i - 1]?.stop ?? 0)
      expect((stop - first) * size).toBeLessThan(256 * 1024 + 2 * gop * size)
    })
  }
})

test('a decoder goes on from where it is, and begins at a key if it has to', () => {
  const one = film(40, 10)
  expect(keyBefore(one, 29)).toBe(20)
  expect(feed(one, 5, null)).toEqual({ from: 0, anew: true })
  expect(feed(one, 6, 5)).toEqual({ from: 6, anew: false })
  expect(feed(one, 9, 5)).toEqual({ from: 6, anew: false })
  expect(feed(one, 4, 5)).toEqual({ from: 0, anew: true })
  expect(feed(one, 35, 5)).toEqual({ from: 30, anew: true })
  expect(feed(one, 5, 5)).toEqual({ from: 0, anew: true })
})

test('a codec is named by its parameter set, wherever in the unit that is', () => {
  expect(h264Of(Uint8Array.of(0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x1e, 0xff))).toBe('avc1.42c01e')
  expect(h264Of(Uint8Array.of(0, 0, 1, 9, 0x10, 0, 0, 1, 0x27, 0x64, 0, 0x28, 1))).toBe('avc1.640028')
  expect(h264Of(Uint8Array.of(0, 0, 1, 0x65, 1, 2, 3, 4))).toBeNull()
  expect(h264Of(new Uint8Array())).toBeNull()
})
