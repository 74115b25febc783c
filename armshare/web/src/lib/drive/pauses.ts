// When an operator paused, from what the page saw of the episode: by the rules of `docs/scoring.md`, "Idle", but not after
// the task was done, and told with the moment. For the operator's eyes: what counts for pay is computed by the hub.

import type { Descriptor, Layout } from '../link/descriptor'
import type { Frame } from '../view/replay.svelte'

const RATE_HZ = 20
const STILL_M_S = 0.005
const STILL_RAD_S = 0.02
const STILL_GRIPPER_S = 0.05
/** Speeds are taken over this many samples to each side. */
const SIDE = 2
/** A shorter pause is told to nobody: closing the gripper, and holding the goal, need it. */
export const TOLD_S = 1

export interface Pause {
  atS: number
  lengthS: number
}

export interface Idle {
  /** Each that is worth telling, in order, before the task was done. */
  pauses: Pause[]
  /** From when on the task was done; null if it was not done at the end. */
  doneS: number | null
  /** From then to the end. */
  afterS: number
}

export const longestOf = (pauses: readonly Pause[]): Pause | null =>
  pauses.toSorted((a, b) => b.lengthS - a.lengthS)[0] ?? null

/** What to tell of an episode's frames, in order of time. */
export function idleOf(frames: readonly Frame[], descriptor: Descriptor, layout: Layout): Idle {
  const [first, last] = [frames[0], frames.at(-1)]
  if (!first || !last) return { pauses: [], doneS: null, afterS: 0 }
  const lengthS = (last.atMs - first.atMs) / 1000
  const unfinished = frames.findLastIndex((frame) => !frame.succeeded)
  const done = last.succeeded ? frames[unfinished + 1] : undefined
  const doneS = done ? (done.atMs - first.atMs) / 1000 : null
  const still = stillnessOf(resampled(frames, descriptor, layout))
  const pauses = runsOf(still).map(([from, to]) => {
    const atS = from / RATE_HZ
    return { atS, lengthS: Math.min((to + 1) / RATE_HZ, doneS ?? lengthS) - atS }
  })
  return {
    pauses: pauses.filter((pause) => pause.lengthS >= TOLD_S),
    doneS,
    afterS: doneS === null ? 0 : lengthS - doneS,
  }
}

/** At each sample: the places of the hands (m), of the joints (rad) and of the grippers, each in one array. */
type Sample = [hands: number[], joints: number[], grippers: number[]]

function resampled(frames: readonly Frame[], descriptor: Descriptor, layout: Layout): Sample[] {
  const of = ({ values }: Frame): Sample => [
    descriptor.end_effectors.flatMap((end) => [...(layout.get(values, end.pose) ?? [])].slice(0, 3)),
    [...(layout.get(values, 'joint_position') ?? [])],
    [...(layout.get(values, 'gripper_position') ?? [])],
  ]
  const firstMs = frames[0]?.atMs ?? 0
  const count = Math.floor((((frames.at(-1)?.atMs ?? 0) - firstMs) / 1000) * RATE_HZ) + 1
  let next = 0
  return Array.from({ length: count }, (_, k) => {
    const atMs = firstMs + (1000 * k) / RATE_HZ
    while (next < frames.length - 1 && (frames[next] as Frame).atMs < atMs) next++
    const [before, after] = [frames[Math.max(0, next - 1)] as Frame, frames[next] as Frame]
    const part = after.atMs > before.atMs ? Math.min(1, Math.max(0, (atMs - before.atMs) / (after.atMs - before.atMs))) : 0
    const [from, to] = [of(before), of(after)]
    return from.map((values, i) => values.map((value, n) => value + part * ((to[i]?.[n] ?? value) - value))) as Sample
  })
}

function stillnessOf(samples: readonly Sample[]): boolean[] {
  return samples.map((_, k) => {
    const [from, to] = [Math.max(0, k - SIDE), Math.min(samples.length - 1, k + SIDE)]
    const [one, other] = [samples[from] as Sample, samples[to] as Sample]
    const perS = RATE_HZ / Math.max(1, to - from)
    const moved = (i: 0 | 1 | 2) => one[i].map((value, n) => Math.abs((other[i][n] ?? value) - value) * perS)
    const hand = Math.hypot(...moved(0))
    return hand < STILL_M_S && moved(1).every((speed) => speed < STILL_RAD_S) && moved(2).every((speed) => speed < STILL_GRIPPER_S)
  })
}

/** The first and the last sample of each run of true. */
function runsOf(still: readonly boolean[]): [number, number][] {
  const starts = still.flatMap((is, k) => (is && !still[k - 1] ? [k] : []))
  return starts.map((start) => {
    const end = still.indexOf(false, start)
    return [start, end < 0 ? still.length - 1 : end - 1]
  })
}
