// Another episode's rows, laid out as the states of the robot that is drawn.

import type { ReplayAnswer } from '../account/api'
import type { Layout } from '../link/descriptor'
import type { Frame } from './replay.svelte'

/** What a state has and a recording does not: it is drawn where the robot was. */
const STANDS_FOR: Record<string, string> = {
  commanded_joint_position: 'joint_position',
  commanded_gripper_position: 'gripper_position',
}

/** The frames of a replay; null if it is of a robot, or of a task, that is laid out otherwise. */
export function framesOf(answer: ReplayAnswer, layout: Layout): Frame[] | null {
  const from = startsOf(answer)
  const copies = [...layout.ranges].map(([name, [start, end]]) => {
    const source = from.get(name) ?? from.get(STANDS_FOR[name] ?? '')
    return source && source.size === end - start ? { start, at: source.at, size: source.size } : null
  })
  if (copies.some((copy) => copy === null)) return null
  return answer.t_s.map((atS, row) => {
    const values = new Float32Array(layout.size)
    for (const copy of copies) {
      if (copy) values.set(answer.rows.subarray(row * answer.width + copy.at, row * answer.width + copy.at + copy.size), copy.start)
    }
    return { atMs: 1000 * atS, values, succeeded: false, progress: answer.progress[row] ?? null }
  })
}

function startsOf({ arrays }: ReplayAnswer): Map<string, { at: number; size: number }> {
  let at = 0
  const starts = new Map<string, { at: number; size: number }>()
  for (const { name, size } of arrays) {
    starts.set(name, { at, size })
    at += size
  }
  return starts
}
