// How somebody stands with a robot who comes to its page: it is theirs already, in another window or somewhere else, or they
// left a drive that they can go on with. Whoever joins without knowing would end that drive.

import type { Robot } from '../account/api'
import { type Kept, type KeptDrives, toGoOnWith, waitsFor } from './kept'
import type { Elsewhere, Windows } from './windows'

/** `found` is null if it is no window of this browser. */
export type Standing = { is: 'new' } | { is: 'left'; kept: Kept } | { is: 'elsewhere'; found: Elsewhere | null }

/** How often, and after how long each time, the hub is asked whether it has noticed that a page of this browser is gone. */
const TRIES = 5
const AGAIN_MS = 1000
const NEW: Standing = { is: 'new' }

export interface Known {
  drives: KeptDrives
  windows: Pick<Windows, 'ask'>
  /** What the hub says of the robot by now; null if that is not known. */
  look: () => Promise<Robot | null>
  pause?: (ms: number) => Promise<void>
}

export async function standingOf(robot: Robot, operator: string, known: Known): Promise<Standing> {
  const mine = robot.driver === operator
  if (!mine && robot.queue_length === 0) return NEW
  const found = waitsFor(robot, operator) ? null : await known.windows.ask(robot.robot, operator)
  if (found) return { is: 'elsewhere', found }
  const kept = toGoOnWith(known.drives, robot, operator)
  if (kept) return { is: 'left', kept }
  if (!mine || waitsFor(robot, operator)) return NEW
  let standing: Standing = NEW
  for (let tried = 0; tried < TRIES; tried++) {
    await (known.pause ?? paused)(AGAIN_MS)
    standing = stillMine(await known.look(), operator, known.drives)
    if (standing.is !== 'elsewhere') break
  }
  return standing
}

function stillMine(robot: Robot | null, operator: string, drives: KeptDrives): Standing {
  if (robot?.driver !== operator) return NEW
  const kept = toGoOnWith(drives, robot, operator)
  if (kept) return { is: 'left', kept }
  return waitsFor(robot, operator) ? NEW : { is: 'elsewhere', found: null }
}

const paused = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
