// What is told of a camera that fails while it records, in plain words and with its name, as the terminal says it too.

import { clock } from '../format'
import type { RobotCameraTroubled } from '../link/signalling'

type Kind = RobotCameraTroubled['trouble']

const LASTS: Record<Kind, (camera: string, since: string) => string> = {
  lost: (camera, since) => `The camera ${camera} has stopped: its pictures are missing from ${since} on.`,
  missing: (camera, since) => `The camera ${camera} is too slow: some of its pictures are missing from ${since} on.`,
  frozen: (camera, since) => `The camera ${camera} is frozen: it has shown the same picture since ${since}.`,
  black: (camera, since) => `The camera ${camera} is black: it has shown nothing since ${since}.`,
  dropped: (camera, since) => `The robot's computer is too slow for the camera ${camera}: pictures are missing from ${since} on.`,
}

const OVER: Record<Kind, (camera: string, between: string) => string> = {
  lost: (camera, between) => `The camera ${camera} had stopped: its pictures are missing ${between}.`,
  missing: (camera, between) => `The camera ${camera} was too slow: some of its pictures are missing ${between}.`,
  frozen: (camera, between) => `The camera ${camera} was frozen ${between}.`,
  black: (camera, between) => `The camera ${camera} was black ${between}.`,
  dropped: (camera, between) => `The robot's computer was too slow for the camera ${camera}: pictures are missing ${between}.`,
}

export type CameraTrouble = RobotCameraTroubled

export function troubleSays({ camera, trouble, times, from_s, until_s }: CameraTrouble): string {
  const [name, since] = [`'${camera}'`, clock(from_s)]
  const until = until_s === null ? null : clock(until_s)
  const between = until === since ? `at ${since}` : `from ${since} to ${until}`
  const said = until === null ? LASTS[trouble](name, since) : OVER[trouble](name, between)
  return times < 2 ? said : `${said} This has happened ${times} times.`
}

/** What goes on now. */
export const lasting = (troubles: readonly CameraTrouble[]): CameraTrouble[] => troubles.filter((each) => each.until_s === null)

/** The newest of each kind of each camera, in the order in which they came first. */
export function taken(troubles: readonly CameraTrouble[], newer: CameraTrouble): CameraTrouble[] {
  const same = (each: CameraTrouble) => each.camera === newer.camera && each.trouble === newer.trouble
  return troubles.some(same) ? troubles.map((each) => (same(each) ? newer : each)) : [...troubles, newer]
}
