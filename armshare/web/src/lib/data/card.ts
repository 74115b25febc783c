// The card of a data set (`rewards/datasets/card.py`), read with care, and what is plotted of it. Pure.

import { words } from '../format'
import { plural, ticks } from './numbers'

export interface Counted {
  name: string
  episodes: number
}

export interface Listed {
  first: Counted[]
  /** How many other values there are. */
  others: number
}

export interface Scores {
  rules: string
  episodes: number
  mean: number
  /** Of 20 bins over [0, 1]. */
  counts: number[]
}

export interface Starts {
  task: string
  model: string
  episodes: number
  /** The least x, y of each thing, one after the other. */
  lower_m: number[]
  upper_m: number[]
  points_m: number[][]
}

export interface Card {
  episodes: number
  splits: Record<string, number>
  bytes: number
  steps: number
  duration_s: number
  success_rate: number | null
  scores: Scores[]
  unscored: number
  trust: Record<string, number>
  practice: number
  tasks: Listed
  operators: Listed
  drivers: Listed
  engines: Listed
  models: Listed
  robots: { robot: string; model: string; simulated: boolean; episodes: number }[]
  cameras: Recorded[]
  /** What the cameras of simulations see; a card of an earlier release has none. */
  drawn?: Recorded[]
  faults: { name: string; sentence: string; episodes: number; count: number }[]
  lengths: { from_s: number[]; counts: number[]; min_s: number; max_s: number }
  starts: Starts[]
  arrays: { model: string; name: string; unit: string; numbers: Numbers }[]
  unread: string[]
}

/** A camera that recorded, or that is drawn (`codec` says so). */
export interface Recorded {
  model: string
  name: string
  codec: string
  width: number
  height: number
  episodes: number
  pictures: number
  numbers: Numbers | null
}

/** A row of the table of statistics. */
export interface Statistics {
  name: string
  model: string
  unit: string
  numbers: Numbers
}

/** Arrays, and then pictures: of each colour, in parts of its brightest, or depth. */
export function statisticsOf({ arrays, cameras, drawn }: Pick<Card, 'arrays' | 'cameras' | 'drawn'>): Statistics[] {
  const pictures = [...cameras, ...(drawn ?? [])].flatMap(({ name, codec, model, numbers }) => {
    const said = codec === 'drawn' ? `pictures of ${name}, drawn` : `pictures of ${name}`
    return numbers ? [{ name: said, model, unit: codec === 'depth16' ? 'mm' : 'red green blue', numbers }] : []
  })
  return [...arrays, ...pictures]
}

/** Of each value of an array, in a row. */
export interface Numbers {
  min: number[]
  max: number[]
  mean: number[]
  std: number[]
}

const LISTS = ['scores', 'robots', 'cameras', 'faults', 'starts', 'arrays', 'unread']
const LISTED = ['tasks', 'operators', 'drivers', 'engines', 'models']

/** Null if there is no card, or none that this page can read. */
export function readCard(answer: unknown): Card | null {
  if (typeof answer !== 'object' || answer === null) return null
  const said = answer as Record<string, unknown>
  const whole = said['format'] === 'armshare.card/1' && LISTS.every((name) => Array.isArray(said[name])) && LISTED.every((name) => Array.isArray((said[name] as Listed | null)?.first))
  return whole ? (answer as Card) : null
}

/** One bar of a histogram: what it counts, in words, and how many. */
export interface Bar {
  says: string
  count: number
}

export interface Histogram {
  bars: Bar[]
  /** What stands below the left edge of each bar, and below the right edge of the last; empty for nothing. */
  edges: string[]
}

export function scoreBars({ counts }: Pick<Scores, 'counts'>): Histogram {
  const width = 100 / counts.length
  const edge = (i: number): number => Math.round(i * width)
  return {
    bars: counts.map((count, i) => ({ says: `${edge(i)} to ${edge(i + 1)}`, count })),
    edges: Array.from({ length: counts.length + 1 }, (_, i) => (edge(i) % 20 === 0 ? String(edge(i)) : '')),
  }
}

/** From the first bin that has episodes to the last. */
export function lengthBars({ from_s, counts }: Card['lengths']): Histogram {
  const first = counts.findIndex((count) => count > 0)
  const last = counts.findLastIndex((count) => count > 0)
  if (first < 0) return { bars: [], edges: [] }
  const edge = (i: number): string => (i < from_s.length ? time(from_s[i] as number) : '')
  const bars = counts.slice(first, last + 1).map((count, i) => {
    const until = edge(first + i + 1)
    return { says: until ? `${edge(first + i)} to ${until}` : `${edge(first + i)} and more`, count }
  })
  return { bars, edges: Array.from({ length: bars.length + 1 }, (_, i) => edge(first + i)) }
}

const time = (seconds: number): string => (seconds < 60 ? `${seconds} s` : seconds % 60 === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`)

/** The best of a plot's counts are said in a sentence, for who does not see it. */
export function sentence({ bars }: Histogram, what: string): string {
  const most = bars.reduce((best, bar) => (bar.count > best.count ? bar : best), bars[0] ?? { says: '', count: 0 })
  const all = bars.reduce((sum, { count }) => sum + count, 0)
  return all === 0 ? `${what}: nothing yet` : `${what} of ${plural(all, 'episode')}; most, ${most.count}, at ${most.says}`
}

export interface Frame {
  x: [number, number]
  y: [number, number]
  xTicks: number[]
  yTicks: number[]
}

/** What part of the table is shown, m: all starts with a margin, and as many metres to a pixel along both sides. */
export function frameOf({ lower_m, upper_m, points_m }: Starts, aspect: number): Frame | null {
  const axis = (from: number): [number, number] => {
    const every = [lower_m, upper_m, ...points_m].flatMap((row) => row.filter((value, i) => i % 2 === from && Number.isFinite(value)))
    return [Math.min(...every), Math.max(...every)]
  }
  const [x, y] = [axis(0), axis(1)]
  if (![...x, ...y].every(Number.isFinite)) return null
  const spread = Math.max((x[1] - x[0]) / aspect, y[1] - y[0], 0.05) * 1.2
  const around = ([least, most]: [number, number], size: number): [number, number] => [(least + most - size) / 2, (least + most + size) / 2]
  const [xs, ys] = [around(x, spread * aspect), around(y, spread)]
  return { x: xs, y: ys, xTicks: ticks(...xs, 5), yTicks: ticks(...ys, 4) }
}

/** "lift 1" -> "Lift"; "lift 2" -> "Lift, version 2" */
export function taskNamed(name: string): string {
  const [, task = name, version = '1'] = /^(.*?)(?: (\d+))?$/s.exec(name) ?? []
  return version === '1' ? words(task) : `${words(task)}, version ${version}`
}

/** "policy my_policy:act" -> "Policy my_policy:act"; "person" -> "People" */
export const driverNamed = (name: string): string => (name === 'person' ? 'People' : words(name).replace(/^(\w+ ).*$/s, (_, kind: string) => kind + name.slice(kind.length)))

/** Of all that an engine's name says, what a person knows it by. */
export function engineNamed(name: string): string {
  const [engine, version] = [/(?:^|, )name (\S+?)(?:,|$)/.exec(name)?.[1], /(?:^|, )version (\S+?)(?:,|$)/.exec(name)?.[1]]
  return engine ? `${words(engine)}${version ? ` ${version}` : ''}` : name
}

/** The same list by shorter names; what is then called the same is one. */
export function byName({ first, others }: Listed, named: (name: string) => string): Listed {
  const found = new Map<string, number>()
  for (const { name, episodes } of first) found.set(named(name), (found.get(named(name)) ?? 0) + episodes)
  return { first: [...found].map(([name, episodes]) => ({ name, episodes })), others }
}
