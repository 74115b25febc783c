// The words of a search for episodes, the same as over HTTP and on the command line, as this page's address says them,
// and as people read them. Pure.

import { shortAddress, words as read } from '../format'

/** The parts of a score that can be searched for, by the newest rules first. */
export const PARTS = ['success', 'object_path', 'order', 'pace', 'flow', 'control', 'path_efficiency', 'smoothness', 'idle', 'tracking'] as const
export const ORDERS = ['newest', 'oldest', 'best', 'worst', 'longest', 'shortest'] as const
export const CAMERAS = ['front', 'side', 'wrist'] as const
const KNOWN: readonly string[] = [
  ...['task', 'model', 'robot', 'operator', 'driver', 'trust', 'success', 'practice', 'state', 'score_min', 'score_max'],
  ...PARTS.flatMap((part) => [`${part}_min`, `${part}_max`]),
  ...['duration_min_s', 'duration_max_s', 'since', 'until', 'dataset', 'order'],
]

/** What is searched for, by its word. A word that this page does not know is the hub's to refuse, by name. */
export type Words = Readonly<Record<string, string>>

/** All that the address of the page says. */
export interface Asked {
  words: Words
  camera: string
  view: 'grid' | 'list'
}

export function readAsked(query: string): Asked {
  const said = new URLSearchParams(query)
  const camera = said.get('camera') || CAMERAS[0]
  const view = said.get('view') === 'list' ? 'list' : 'grid'
  const words = Object.fromEntries([...said].filter(([name, value]) => name !== 'camera' && name !== 'view' && value !== ''))
  return { words, camera: /^[\w-]{1,64}$/.test(camera) ? camera : CAMERAS[0], view }
}

/** The shortest query that says it, always in the same order: what everybody sees anyway is left out. */
export function writeAsked({ words, camera, view }: Asked): string {
  const place = (name: string): number => (KNOWN.includes(name) ? KNOWN.indexOf(name) : KNOWN.length)
  const said = Object.entries(words)
    .filter(([name, value]) => value !== '' && !(name === 'order' && value === ORDERS[0]))
    .toSorted(([one], [other]) => place(one) - place(other) || one.localeCompare(other))
  if (camera !== CAMERAS[0]) said.push(['camera', camera])
  if (view !== 'grid') said.push(['view', view])
  return new URLSearchParams(said).toString().replaceAll('%2F', '/').replaceAll('%40', '@').replaceAll('%3A', ':')
}

/** The same search with other values; an empty one takes its word away. */
export function withWords(words: Words, changed: Words): Words {
  return Object.fromEntries(Object.entries({ ...words, ...changed }).filter(([, value]) => value !== ''))
}

/** What the hub is asked: nobody looks for episodes here that do not count. */
export const searched = (words: Words): Words => ({ state: 'verified', ...words })

/** What a search asks for beyond its order: the words that narrow it. */
export const narrows = (words: Words): Words => Object.fromEntries(Object.entries(words).filter(([name]) => name !== 'order'))

/** One thing that narrows a search, as it is read and taken away. */
export interface Chip {
  names: string[]
  says: string
}

const SAYS: Record<string, (value: string) => string> = {
  task: (value) => read(value),
  model: (value) => read(value),
  robot: (value) => `Robot ${shortAddress(value)}`,
  operator: (value) => `Operator ${shortAddress(value)}`,
  driver: (value) => DRIVERS[value] ?? value,
  trust: (value) => TRUST[value] ?? value,
  success: (value) => (value === 'true' ? 'Task done' : 'Task not done'),
  practice: (value) => (value === 'true' ? 'Practice' : 'No practice'),
  state: (value) => `State ${value}`,
  dataset: (value) => `In ${value}`,
}
export const DRIVERS: Record<string, string> = { person: 'People', script: 'Scripts', policy: 'Policies' }
export const TRUST: Record<string, string> = { replayed: 'Replayed by the hub', witnessed: 'On its host’s word' }

/** What narrows a search; both ends of a range are one thing. */
export function chips(words: Words): Chip[] {
  const found: Chip[] = []
  const seen = new Set<string>(['order'])
  for (const [name, value] of Object.entries(words)) {
    if (seen.has(name)) continue
    const range = rangeOf(name)
    const names = range ? [range.least, range.most] : [name]
    for (const each of names) seen.add(each)
    const says = range ? range.says(words[range.least], words[range.most]) : (SAYS[name]?.(value) ?? `${name}: ${value}`)
    found.push({ names: names.filter((each) => each in words), says })
  }
  return found
}

interface Range {
  least: string
  most: string
  says: (least: string | undefined, most: string | undefined) => string
}

function rangeOf(name: string): Range | null {
  if (name === 'since' || name === 'until') return { least: 'since', most: 'until', says: (a, b) => between('Driven', day(a), day(b), ' ', 'before') }
  if (name.startsWith('duration_m')) return { least: 'duration_min_s', most: 'duration_max_s', says: (a, b) => between('Length', a, b, ' s') }
  const part = /^(\w+)_(min|max)$/.exec(name)?.[1]
  if (part === undefined || (part !== 'score' && !(PARTS as readonly string[]).includes(part))) return null
  return { least: `${part}_min`, most: `${part}_max`, says: (a, b) => between(read(part), ofHundred(a), ofHundred(b)) }
}

function between(what: string, least: string | undefined, most: string | undefined, unit = '', before = 'up to'): string {
  const end = unit.trim() && unit
  if (least !== undefined && most !== undefined) return `${what} ${least}–${most}${end}`
  return least !== undefined ? `${what} from ${least}${end}` : `${what} ${before} ${most}${end}`
}

const day = (value: string | undefined): string | undefined => value?.replace(/T.*$/, '')

/** Scores are written in [0, 1], and read of 100. */
export function ofHundred(value: string | undefined): string | undefined {
  return value === undefined ? undefined : Number.isFinite(Number(value)) ? String(Math.round(1000 * Number(value)) / 10) : value
}
