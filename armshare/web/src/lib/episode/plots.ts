// Which curves are drawn together: channels of the same kind and unit, what was commanded, applied and measured over each
// other. Pure.

import { words } from '../format'
import type { Channel, Origin } from './answers'

/** Some columns of one channel. */
export interface Strand {
  channel: Channel
  origin: Origin
  /** Which columns of the channel, in the order of the panel's. */
  columns: number[]
}

export interface Panel {
  id: string
  title: string
  unit: string
  columns: string[]
  strands: Strand[]
  /** It is for those who ask for it. */
  more: boolean
}

const TITLES: Record<string, string> = {
  'joints rad': 'Joint positions',
  'velocities rad/s': 'Joint velocities',
  'grippers 1': 'Gripper',
  'hands m': 'Hand position',
  'hands m/s': 'Hand velocity',
  'hands rad/s': 'Hand turning',
  'task 1': 'Progress and success',
  'timing ms': 'Timing',
}
const ORIENTATION = /(^|\s)q[xyzw]$/
const PLACE = /(^|\s)[xyz]$/

/** Groups that are one panel, whatever their channels are called. */
const TOGETHER = new Set(['task', 'timing'])

export function panelsOf(channels: readonly Channel[]): Panel[] {
  const panels: Panel[] = []
  for (const channel of channels) for (const part of partsOf(channel)) add(panels, channel, part)
  return panels
}

/** The columns of a channel that can share an axis: by their unit, and orientations apart. */
function partsOf(channel: Channel): { unit: string; columns: number[] }[] {
  const parts = new Map<string, { unit: string; columns: number[] }>()
  channel.columns.forEach(({ name, unit }, column) => {
    const key = ORIENTATION.test(name) ? `${unit} orientation` : unit
    const part = parts.get(key) ?? { unit, columns: [] }
    part.columns.push(column)
    parts.set(key, part)
  })
  return [...parts.values()]
}

function add(panels: Panel[], channel: Channel, { unit, columns }: { unit: string; columns: number[] }): void {
  const names = columns.map((column) => channel.columns[column]?.name ?? '')
  const strand: Strand = { channel, origin: channel.origin, columns }
  const one = panels.find((panel) => joins(panel, channel, unit, names))
  if (!one) panels.push({ id: `${channel.name} ${names[0]}`, title: titleOf(channel, unit, names), unit, columns: names, strands: [strand], more: isMore(channel, unit, names) })
  else if (TOGETHER.has(channel.group)) {
    one.columns.push(...names)
    one.strands.push(strand)
  } else one.strands.push(strand)
}

/** Whether a channel's columns are the panel's, from elsewhere: what was applied beside what was measured. */
function joins(panel: Panel, { group, origin }: Channel, unit: string, names: string[]): boolean {
  if (panel.strands[0]?.channel.group !== group || panel.unit !== unit) return false
  if (TOGETHER.has(group)) return true
  return panel.columns.join() === names.join() && group !== 'things' && group !== 'other' && panel.strands.every((strand) => strand.origin !== origin)
}

const isMore = ({ group }: Channel, unit: string, names: string[]): boolean => group === 'other' || (group === 'things' && unit !== 'm') || names.every((name) => ORIENTATION.test(name))

function titleOf(channel: Channel, unit: string, names: string[]): string {
  const known = TITLES[`${channel.group} ${unit}`]
  const own = words(channel.name.replace(/^.*\//, '').replace(/_pose$/, '').replace(/_velocity$/, ''))
  if (names.every((name) => ORIENTATION.test(name))) return `${channel.group === 'hands' ? 'Hand' : own}: orientation`
  if (channel.group === 'things') return `${own}: ${unit === 'm' ? 'position' : unit === 'rad/s' ? 'turning' : 'speed'}`
  return known ?? own
}

/** Whether a column is drawn before somebody chooses: of a place, where it is. */
export const isPlace = (name: string): boolean => PLACE.test(name)

/** The row that is the newest at a moment; times never fall. */
export function rowAt(t_s: ArrayLike<number>, atS: number): number {
  let [low, high] = [0, t_s.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if ((t_s[middle] as number) <= atS + 1e-6) low = middle
    else high = middle - 1
  }
  return low
}

/** A number as one reads it beside a plot: three digits that say something. */
export function shortNumber(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3
  return value.toFixed(digits).replace(/^-(?=0[.0]*$)/, '').replace('-', '−')
}

/** From the least to the most of some curves, for whoever cannot see them. */
export function rangeOf(curves: readonly Float32Array[]): [least: number, most: number] | null {
  let [least, most] = [Infinity, -Infinity]
  for (const curve of curves)
    for (const value of curve)
      if (Number.isFinite(value)) [least, most] = [Math.min(least, value), Math.max(most, value)]
  return least <= most ? [least, most] : null
}
