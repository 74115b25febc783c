// Which pictures of a camera are fetched and decoded to show a moment. Pure; `player.ts` does it.

import type { Film } from './answers'

/** A stretch of pictures that is fetched at once. */
export interface Block {
  first: number
  /** After the last. */
  stop: number
}

/** About so much is fetched at once. */
const BLOCK_BYTES = 256 * 1024

/** The picture that a camera had last given at a moment; the first before there was one. Null without pictures. */
export function pictureAt({ t_s }: Film, atS: number): number | null {
  if (t_s.length === 0) return null
  let [low, high] = [0, t_s.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((t_s[middle] as number) <= atS + 1e-6) low = middle
    else high = middle - 1
  }
  return low
}

/** The newest picture up to this one that can be decoded by itself. */
export function keyBefore({ key }: Film, picture: number): number {
  let at = picture
  while (at > 0 && key[at] !== 1) at -= 1
  return at
}

/** Cut a film into what is fetched at once: each begins with a picture that can be decoded by itself. */
export function blocksOf(film: Film): Block[] {
  const blocks: Block[] = []
  let first = 0
  for (let picture = 1; picture <= film.t_s.length; picture++) {
    const size = (film.at[picture] as number) - (film.at[first] as number)
    if (picture < film.t_s.length && (film.key[picture] !== 1 || size < BLOCK_BYTES)) continue
    blocks.push({ first, stop: picture })
    first = picture
  }
  return blocks
}

/** What `VideoDecoder` calls this H.264: profile, constraints and level are in the parameter set before a key. */
export function h264Of(unit: Uint8Array): string | null {
  for (let at = 0; at + 6 < unit.length; at++) {
    if (unit[at] !== 0 || unit[at + 1] !== 0 || unit[at + 2] !== 1 || ((unit[at + 3] as number) & 0x1f) !== 7) continue
    return `avc1.${[...unit.slice(at + 4, at + 7)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`
  }
  return null
}

/** What to give a decoder so that it shows a picture: from where on, and whether it has to begin anew. */
export function feed(film: Film, wanted: number, decoded: number | null): { from: number; anew: boolean } {
  const key = keyBefore(film, wanted)
  if (decoded !== null && decoded < wanted && decoded >= key) return { from: decoded + 1, anew: false }
  return { from: key, anew: true }
}
