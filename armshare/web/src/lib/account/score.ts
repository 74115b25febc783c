// A hub's answer about a score, read with care: what is shown beside the score (costs, moments, stretches) is left out if
// it cannot be right, and is empty if an older hub does not tell it. Sentences are text, and never markup.

import { type Fields, fieldsOf, floatsOf, isNumber, isShare, isTime, listOf, NAME_MOST, numbersOf, textOf } from '../reading'
import type { Best, Cost, ReplayAnswer, Score, Scoring, Segment } from './api'

/** The answer is not about a score at all. */
export class ScoreError extends Error {
  override name = 'ScoreError'
}

export function readScore(answer: unknown): Score {
  const found = fieldsOf(answer)
  if (!found || !isShare(found['score']) || typeof found['accepted'] !== 'boolean')
    throw new ScoreError(`Expected a score in [0, 1] and whether it is accepted, got ${JSON.stringify(answer)?.slice(0, 200)}.`)
  return {
    ...(found as unknown as Score),
    vector: numbersOf(found['vector'], (value) => value === null || isShare(value)),
    reasons: listOf(found['reasons'], textOf),
    costs: listOf(found['costs'], costOf).toSorted((a, b) => b.points - a.points),
    shown: numbersOf(found['shown'], isNumber) as Record<string, number>,
    segments: listOf(found['segments'], segmentOf).toSorted((a, b) => a.from_s - b.from_s),
    versions: listOf(found['versions'], scoringOf),
  }
}

/** The best drive from a like start; null if the answer names none that can be shown. */
export function readBest(answer: unknown): Best | null {
  const found = fieldsOf(answer)
  if (!found || typeof found['episode'] !== 'string' || !isShare(found['score']) || !isTime(found['duration_s'])) return null
  const { episode, score, duration_s, apart_m, driver } = found
  return { episode, score, duration_s, apart_m: isNumber(apart_m) && apart_m >= 0 ? apart_m : null, driver: driverOf(driver) }
}

/** What shows an episode once more: as many rows as moments, all finite; null if it is anything else. */
export function readReplay(answer: unknown): ReplayAnswer | null {
  const found = fieldsOf(answer)
  if (!found || typeof found['values'] !== 'string' || !Array.isArray(found['t_s'])) return null
  const arrays = listOf(found['arrays'], arrayOf)
  const [times, progress] = [found['t_s'] as unknown[], Array.isArray(found['progress']) ? (found['progress'] as unknown[]) : []]
  const rising = times.every((t, i) => isTime(t) && (i === 0 || t > (times[i - 1] as number)))
  const rows = floatsOf(found['values'])
  const width = arrays.reduce((sum, { size }) => sum + size, 0)
  if (!rising || times.length === 0 || !rows || width === 0 || rows.length !== width * times.length || !rows.every(Number.isFinite)) return null
  const stages = listOf(found['stages'], textOf)
  return { arrays, width, stages, t_s: times as number[], progress: times.map((_, i) => (isShare(progress[i]) ? progress[i] : null)), rows }
}

/** From and until, s: both or neither, the right way round. */
function stretchOf(found: Fields): [from_s: number, until_s: number] | null {
  const { from_s, until_s } = found
  return isTime(from_s) && isTime(until_s) && until_s >= from_s ? [from_s, until_s] : null
}

function costOf(value: unknown): Cost | null {
  const found = fieldsOf(value)
  const [part, sentence] = [textOf(found?.['part']), textOf(found?.['sentence'])]
  if (!found || !part || !sentence || !isShare(found['points'])) return null
  const [from_s, until_s] = stretchOf(found) ?? [null, null]
  return { part, points: found['points'], sentence, from_s, until_s }
}

function segmentOf(value: unknown): Segment | null {
  const found = fieldsOf(value)
  const [kind, stretch] = [textOf(found?.['kind']), found && stretchOf(found)]
  return kind && kind.length <= NAME_MOST && stretch ? { kind, from_s: stretch[0], until_s: stretch[1] } : null
}

function scoringOf(value: unknown): Scoring | null {
  const found = fieldsOf(value)
  if (!found || !isShare(found['score']) || !['string', 'number'].includes(typeof found['version'])) return null
  return { version: String(found['version']).slice(0, NAME_MOST), score: found['score'], pay: typeof found['pay'] === 'string' ? found['pay'] : '' }
}

function driverOf(value: unknown): Best['driver'] {
  const found = fieldsOf(value)
  const { kind, name } = found ?? {}
  if (kind !== 'person' && kind !== 'policy' && kind !== 'script') return null
  return { kind, name: typeof name === 'string' ? name.slice(0, NAME_MOST) : '' }
}

function arrayOf(value: unknown): ReplayAnswer['arrays'][number] | null {
  const found = fieldsOf(value)
  const [name, shape] = [textOf(found?.['name']), found?.['shape']]
  if (!name || !Array.isArray(shape) || !shape.every((side) => Number.isSafeInteger(side) && (side as number) > 0)) return null
  return { name, size: (shape as number[]).reduce((product, side) => product * side, 1) }
}
