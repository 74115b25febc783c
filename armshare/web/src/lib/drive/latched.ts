// Whether a robot is latched, stopped or broken: as the hub last said, or as it was when this page came.

import type { Robot } from '../account/api'
import type { View } from './session'

type Heard = Pick<View, 'stoppedBy' | 'brokenBy' | 'stop'> | null
type Card = Pick<Robot, 'estopped' | 'fault' | 'stop'> | null

/** What broke it; null if nothing did. */
export function brokenBy(view: Heard, robot: Card): string | null {
  const said = view?.brokenBy
  return said === undefined ? (robot?.fault ?? null) : said
}

/** What its owner's clear must name; null if nothing is latched. */
export function stopOf(view: Heard, robot: Card): string | null {
  const said = view?.stop
  return said === undefined ? (robot?.stop ?? null) : said
}

export function latched(view: Heard, robot: Card): boolean {
  const by = view?.stoppedBy
  return (by === undefined ? (robot?.estopped ?? false) : by !== null) || brokenBy(view, robot) !== null
}
