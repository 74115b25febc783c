// Which robot an address means: its own address, or its name. Pure.

import type { Robot } from './account/api'

export type Found = { robot: Robot } | { several: Robot[] } | { none: true }

/** `wanted` is an address or a name; several robots may have one name. */
export function robotOf(robots: readonly Robot[], wanted: string): Found {
  const lower = wanted.toLowerCase()
  const byAddress = robots.find((robot) => robot.robot.toLowerCase() === lower)
  if (byAddress) return { robot: byAddress }
  const exact = robots.filter((robot) => robot.name === wanted)
  const named = exact.length > 0 ? exact : robots.filter((robot) => robot.name.toLowerCase() === lower)
  if (named.length > 1) return { several: [...named] }
  return named[0] ? { robot: named[0] } : { none: true }
}
