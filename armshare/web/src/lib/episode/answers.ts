// What the hub tells of an episode to whoever looks at it (docs/http.md), read with care: what cannot be right is left out.

import { bytesOf, countsOf, type Fields, fieldsOf, floatsOf, isNumber, isTime, listOf, textOf } from '../reading'

export type Who = 'person' | 'policy' | 'script'

/** From and until, s from the first observation. */
export interface Stretch {
  from_s: number
  until_s: number
}

export type Driven = Stretch & { who: Who }
export type Guarded = Stretch & { state: string }
export type Limited = Stretch & { rule: string; times: number }
export type Missed = Stretch & { trouble: string; pictures: number }

export interface Camera {
  name: string
  codec: string
  width: number
  height: number
  fps: number
  pictures: number
  bytes: number
  troubles: Missed[]
}

/** An episode on one line of time, and what it is of. */
export interface Timeline {
  format: number
  task: { name: string; instruction: string; stages: string[] }
  robot: { name: string; model: string; simulated: boolean }
  engine: [name: string, value: string][]
  seed: number | null
  control_hz: number
  steps: number
  length_s: number
  reason: string
  driven: Driven[]
  guarded: Guarded[]
  limited: Limited[]
  notes: { at_s: number; text: string }[]
  cameras: Camera[]
  /** The cameras that a simulated robot can be drawn from. */
  drawn: string[]
}

export type Origin = 'commanded' | 'applied' | 'measured' | 'computed'

export interface Channel {
  name: string
  group: string
  origin: Origin
  doc: string
  columns: { name: string; unit: string }[]
}

/** A channel as curves: at each moment, a value of each column; NaN if there is none. */
export interface Series {
  t_s: number[]
  columns: Float32Array[]
}

/** A camera's pictures, in order. */
export interface Film {
  camera: string
  codec: string
  width: number
  height: number
  /** Depth: how far away a 1 is, m; 0 of colours. */
  unit_m: number
  /** Where each begins in the episode's file; one more than there are pictures. */
  at: Float64Array
  t_s: Float32Array
  key: Uint8Array
  marks: Uint8Array
}

export interface Neighbours {
  task: { next: string | null; previous: string | null }
  operator: { next: string | null; previous: string | null }
  motion: { episode: string; apart_m: number }[]
}

const PICTURES_MAX = 432_000
const COLUMNS_MAX = 64
const CHANNELS_MAX = 400
const ORIGINS = ['commanded', 'applied', 'measured', 'computed']

/** Null if the answer is about no episode. */
export function readTimeline(answer: unknown): Timeline | null {
  const found = fieldsOf(answer)
  const [task, robot] = [fieldsOf(found?.['task']), fieldsOf(found?.['robot'])]
  const { length_s, control_hz, steps, seed, format } = found ?? {}
  if (!found || !task || !robot || !isTime(length_s) || !isNumber(control_hz) || control_hz <= 0 || !isNumber(steps)) return null
  return {
    format: isNumber(format) ? format : 1,
    task: { name: textOf(task['name']) ?? '', instruction: textOf(task['instruction']) ?? '', stages: listOf(task['stages'], textOf) },
    robot: { name: textOf(robot['name']) ?? '', model: textOf(robot['model']) ?? '', simulated: robot['simulated'] === true },
    engine: Object.entries(fieldsOf(found['engine']) ?? {}).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as [string, string]] : [])),
    seed: Number.isSafeInteger(seed) ? (seed as number) : null,
    control_hz,
    steps,
    length_s,
    reason: textOf(found['reason']) ?? '',
    driven: listOf(found['driven'], drivenOf),
    guarded: listOf(found['guarded'], (each) => named(each, 'state', (stretch, state) => ({ ...stretch, state }))),
    limited: listOf(found['limited'], (each) => named(each, 'rule', (stretch, rule, { times }) => ({ ...stretch, rule, times: isNumber(times) ? times : 1 }))),
    notes: listOf(found['notes'], noteOf),
    cameras: listOf(found['cameras'], cameraOf),
    drawn: listOf(found['drawn'], textOf),
  }
}

export function readChannels(answer: unknown): Channel[] {
  return listOf(fieldsOf(answer)?.['channels'], channelOf, CHANNELS_MAX)
}

/** Null if the answer is no curves of these columns. */
export function readSeries(answer: unknown, columns: number): Series | null {
  const found = fieldsOf(answer)
  const [times, values] = [found?.['t_s'], floatsOf(found?.['values'])]
  if (!Array.isArray(times) || !values || columns < 1 || values.length !== columns * times.length) return null
  if (!times.every((t, i) => isTime(t) && (i === 0 || t >= (times[i - 1] as number)))) return null
  return { t_s: times as number[], columns: Array.from({ length: columns }, (_, column) => Float32Array.from(times, (_t, row) => values[row * columns + column] as number)) }
}

/** Null if the answer says nothing that pictures can be found by. */
export function readFilm(answer: unknown): Film | null {
  const found = fieldsOf(answer)
  const [sizes, t_s, key, marks] = [countsOf(found?.['sizes']), floatsOf(found?.['t_s']), bytesOf(found?.['key']), bytesOf(found?.['marks'])]
  const { at, width, height, depth_unit_m } = found ?? {}
  const [camera, codec] = [textOf(found?.['camera']), textOf(found?.['codec'])]
  if (!sizes || !t_s || !key || !marks || !camera || !codec || !isNumber(at) || !isSide(width) || !isSide(height)) return null
  const count = sizes.length
  if (count > PICTURES_MAX || t_s.length !== count || key.length !== count || marks.length !== count) return null
  if (!t_s.every((t, i) => Number.isFinite(t) && (i === 0 || t >= (t_s[i - 1] as number)))) return null
  const begins = new Float64Array(count + 1)
  begins[0] = at
  sizes.forEach((size, i) => (begins[i + 1] = (begins[i] as number) + size))
  return { camera, codec, width, height, unit_m: isNumber(depth_unit_m) ? depth_unit_m : 0, at: begins, t_s, key, marks }
}

export function readNeighbours(answer: unknown): Neighbours | null {
  const found = fieldsOf(answer)
  if (!found) return null
  return { task: bothOf(found['task']), operator: bothOf(found['operator']), motion: listOf(found['motion'], nearOf) }
}

const isSide = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= 4096

function stretchOf(value: unknown): Stretch | null {
  const { from_s, until_s } = fieldsOf(value) ?? {}
  return isTime(from_s) && isTime(until_s) && until_s >= from_s ? { from_s, until_s } : null
}

function named<T>(value: unknown, name: string, make: (stretch: Stretch, text: string, found: Fields) => T): T | null {
  const [found, stretch] = [fieldsOf(value), stretchOf(value)]
  const text = textOf(found?.[name])
  return found && stretch && text ? make(stretch, text, found) : null
}

const drivenOf = (value: unknown): Driven | null =>
  named(value, 'who', (stretch, who) => (who === 'person' || who === 'policy' || who === 'script' ? { ...stretch, who } : null))

function noteOf(value: unknown): { at_s: number; text: string } | null {
  const found = fieldsOf(value)
  const text = textOf(found?.['text'])
  return text && isTime(found?.['at_s']) ? { at_s: found['at_s'], text } : null
}

function cameraOf(value: unknown): Camera | null {
  const found = fieldsOf(value)
  const [name, codec] = [textOf(found?.['name']), textOf(found?.['codec'])]
  const { width, height, fps, pictures, bytes } = found ?? {}
  if (!name || !codec || !isSide(width) || !isSide(height)) return null
  const troubles = listOf(found?.['troubles'], (each) => named(each, 'trouble', (stretch, trouble, { pictures }) => ({ ...stretch, trouble, pictures: isNumber(pictures) ? pictures : 0 })))
  const [rate, count, length] = [fps, pictures, bytes].map((each) => (isNumber(each) ? each : 0)) as [number, number, number]
  return { name, codec, width, height, fps: rate, pictures: count, bytes: length, troubles }
}

function channelOf(value: unknown): Channel | null {
  const found = fieldsOf(value)
  const [name, group, origin] = [textOf(found?.['name']), textOf(found?.['group']), textOf(found?.['origin'])]
  const columns = listOf(found?.['columns'], columnOf, COLUMNS_MAX)
  if (!name || !group || !origin || !ORIGINS.includes(origin) || columns.length === 0) return null
  return { name, group, origin: origin as Origin, doc: textOf(found?.['doc']) ?? '', columns }
}

function columnOf(value: unknown): { name: string; unit: string } | null {
  const found = fieldsOf(value)
  const [name, unit] = [textOf(found?.['name']), textOf(found?.['unit'])]
  return name && unit ? { name, unit } : null
}

/** An episode's id, however the hub tells it. */
const idOf = (value: unknown): string | null => textOf(typeof value === 'string' ? value : fieldsOf(value)?.['episode'])

function bothOf(value: unknown): { next: string | null; previous: string | null } {
  const found = fieldsOf(value)
  return { next: idOf(found?.['next']), previous: idOf(found?.['previous']) }
}

function nearOf(value: unknown): { episode: string; apart_m: number } | null {
  const [episode, apart_m] = [idOf(value), fieldsOf(value)?.['apart_m']]
  return episode && isNumber(apart_m) && apart_m >= 0 ? { episode, apart_m } : null
}
