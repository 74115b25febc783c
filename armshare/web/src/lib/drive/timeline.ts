// A drive as a line of time: its stages, what its stretches were, and when something cost pay. Pure.

import type { Cost, Segment } from '../account/api'
import { clock } from '../format'
import { stageAt } from '../link/descriptor'

/** What each kind of stretch is called, and the mark that tells it without colour. */
export const KINDS: Record<string, { word: string; mark: string }> = {
  idle: { word: 'Idle', mark: '…' },
  tail: { word: 'After it was done', mark: '■' },
  slow: { word: 'Slow', mark: '≈' },
  mistake: { word: 'Mistake', mark: '✕' },
  recovery: { word: 'Recovery', mark: '↺' },
  limited: { word: 'Limited', mark: '⊣' },
}
/** The only kind that is worth more, not less. */
export const GOOD_KIND = 'recovery'
/** Costs below this share of the price are not told: they round to 0.0 of 100. */
const TOLD = 0.0005
/** A stretch that was shorter is noticed by nobody, s. */
const NOTICED_S = 0.15
/** A stretch is drawn at least so wide, percent, so that it can be seen. */
const SEEN_PERCENT = 0.8
/** A stage that was passed faster is not named. */
const STAGE_S = 0.25

/** Where something lies on the line, percent. */
export interface Span {
  left: number
  width: number
}

/** From and until on a line of `lengthS`: never outside it, and never too narrow to be seen. */
export function spanOf(fromS: number, untilS: number, lengthS: number): Span {
  if (lengthS <= 0) return { left: 0, width: 100 }
  const at = (s: number) => 100 * Math.min(1, Math.max(0, s / lengthS))
  const width = Math.max(SEEN_PERCENT, at(untilS) - at(fromS))
  return { left: Math.min(at(fromS), 100 - width), width }
}

/** How long the line is: to the end of the drive, or of what is told of it if that is later. */
export const lengthOf = (driveS: number, segments: readonly Segment[], costs: readonly Cost[]): number =>
  Math.max(driveS, ...segments.map(({ until_s }) => until_s), ...costs.map(({ until_s }) => until_s ?? 0))

/** What a person can notice: mistakes and recoveries however short they were, and all else if it lasted. */
export const noticed = (segments: readonly Segment[]): Segment[] =>
  segments.filter(({ kind, from_s, until_s }) => kind === 'mistake' || kind === GOOD_KIND || until_s - from_s >= NOTICED_S)

/** Each stretch, and the row that it is drawn in, from 0: those that overlap are drawn one below the other. */
export function rowsOf(segments: readonly Segment[]): { segment: Segment; row: number }[] {
  const ends: number[] = []
  return segments.map((segment) => {
    const free = ends.findIndex((end) => end <= segment.from_s)
    const row = free < 0 ? ends.length : free
    ends[row] = segment.until_s
    return { segment, row }
  })
}

/** What to tell of the costs, the largest first. */
export const told = (costs: readonly Cost[]): Cost[] => costs.filter(({ points }) => points >= TOLD)

/** 0.1234 -> "12.3", of 100. */
export const points = (share: number): string => (100 * share).toFixed(1)

/** When it was, as one says it: "at 0:04", "0:04 to 0:09"; "the whole drive" if it was no moment. */
export function momentOf(fromS: number | null, untilS: number | null): string {
  if (fromS === null) return 'the whole drive'
  const [from, until] = [clock(fromS), clock(untilS ?? fromS)]
  return from === until ? `at ${from}` : `${from} to ${until}`
}

/** A stretch of the drive in which the same stage was under way. */
export interface Stage {
  name: string
  fromS: number
  untilS: number
}

/** When each stage was under way, from the progress at each moment (ms), `fromS` being when the first one was. */
export function stagesOf(frames: readonly { atMs: number; progress: number | null }[], stages: readonly string[], fromS = 0): Stage[] {
  const firstMs = frames[0]?.atMs ?? 0
  const found: Stage[] = []
  for (const { atMs, progress } of frames) {
    const name = progress === null ? null : stageAt(stages, progress)
    const atS = fromS + (atMs - firstMs) / 1000
    const last = found.at(-1)
    if (last) last.untilS = atS
    if (name !== null && name !== last?.name) found.push({ name, fromS: atS, untilS: atS })
  }
  return found.filter((stage) => stage.untilS - stage.fromS >= STAGE_S)
}

/** How each value that is shown and not paid by is called and written. */
const SHOWN: Record<string, { word: string; write: (value: number) => string }> = {
  smoothness: { word: 'Smoothness (−2.5 is smooth)', write: (value) => value.toFixed(1).replace('-', '−') },
  path_efficiency: { word: 'Directness of the path', write: percent },
  mutual_information: { word: 'Consistency with good drives', write: (value) => value.toFixed(2).replace('-', '−') },
  duration_s: { word: 'Time', write: (value) => `${value.toFixed(1)} s` },
  idle_s: { word: 'Stood still', write: (value) => `${value.toFixed(1)} s` },
  limited: { word: 'Reduced by a safety limit', write: percent },
  recoveries: { word: 'Recoveries', write: (value) => value.toFixed(0) },
  progress: { word: 'How far the task was', write: percent },
}

function percent(value: number): string {
  return `${Math.round(100 * value)} %`
}

/** What helps an operator and is not paid by, in words; a newer hub's in its own name. */
export const shownOf = (shown: Record<string, number>): [word: string, value: string][] =>
  Object.entries(shown).map(([name, value]) => {
    const known = Object.hasOwn(SHOWN, name) ? SHOWN[name] : undefined
    return known ? [known.word, known.write(value)] : [name.replaceAll('_', ' '), value.toFixed(2)]
  })

/** The word and the mark of a kind; of one that this page does not know, its own name. */
export const kindOf = (kind: string): { word: string; mark: string } =>
  (Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined) ?? { word: kind.charAt(0).toUpperCase() + kind.slice(1).replaceAll('_', ' '), mark: '●' }
