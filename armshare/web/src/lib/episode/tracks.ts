// An episode's line of time as rows: stages, who drove, what the score says, limits, cameras, and what was said. Pure.

import type { Segment } from '../account/api'
import { kindOf, type Stage } from '../drive/timeline'
import { drivenBy } from '../format'
import type { Driver } from '../link/signalling'
import type { Timeline } from './answers'

export interface Mark {
  /** What it looks like. */
  kind: string
  from_s: number
  until_s: number
  /** What stands in it, if there is room. */
  label: string
  /** The whole of it, for whoever points at it, and for a screen reader. */
  says: string
}

export interface Track {
  name: string
  title: string
  marks: Mark[]
}

const LIMITS: Record<string, string> = {
  ee_velocity: 'the hand would have moved too fast',
  ee_rotation: 'the hand would have turned too fast',
  workspace: 'the hand was at the edge of its workspace',
  joint_position: 'a joint was at its end',
  joint_velocity: 'a joint would have moved too fast',
  gripper_velocity: 'the gripper would have moved too fast',
  tracking: 'the arm was too far behind what was asked',
  shape: 'what was asked for did not fit the robot',
  joint_acceleration: 'a joint would have speeded up too fast',
  singularity: 'the arm was nearly stretched out',
  base_velocity: 'the base would have moved too fast',
}

const SHORT: Record<string, string> = {
  ee_velocity: 'Too fast',
  ee_rotation: 'Too fast',
  workspace: 'Edge',
  joint_position: 'Joint end',
  joint_velocity: 'Too fast',
  gripper_velocity: 'Gripper',
  tracking: 'Behind',
  joint_acceleration: 'Too sudden',
  singularity: 'Stretched',
  base_velocity: 'Too fast',
}

const GUARDS: Record<string, string> = {
  expired: 'No command came in time, so the robot held still',
  armed: 'Ready, and nobody was driving',
  holding: 'The operator let go, so the robot held still',
  estopped: 'Stopped by the emergency stop',
  faulted: 'The robot was broken',
}

const CAMERAS: Record<string, string> = {
  missing: 'no picture came',
  frozen: 'the picture stood still',
  black: 'the picture was black',
  dropped: 'pictures came and could not be kept',
  lost: 'the camera was gone',
}

/** A pause that was shorter is not drawn, s: before each drive there is one. */
const NOTICED_S = 0.3

/** What one has to say of an episode, without rows that would be empty. */
export function tracksOf(timeline: Timeline | null, stages: readonly Stage[], segments: readonly Segment[], driver: Driver | null): Track[] {
  const tracks: Track[] = [
    { name: 'stages', title: 'Stages', marks: stages.map((one) => markOf('stage', one.fromS, one.untilS, one.name, `Stage: ${one.name}`)) },
    { name: 'score', title: 'Score', marks: segments.map((one) => markOf(one.kind, one.from_s, one.until_s, kindOf(one.kind).word, kindOf(one.kind).word)) },
  ]
  if (timeline) tracks.splice(1, 0, driving(timeline, driver))
  if (timeline) tracks.push(limits(timeline), pauses(timeline), ...timeline.cameras.map(camera), notes(timeline))
  return tracks.filter(({ marks }) => marks.length > 0)
}

function markOf(kind: string, from_s: number, until_s: number, label: string, says: string): Mark {
  return { kind, from_s, until_s, label, says }
}

/** Who drove when: told if it was not one person all the time. */
function driving({ driven }: Timeline, driver: Driver | null): Track {
  const alone = driven.length < 2 && driven.every(({ who }) => who === 'person')
  const by = driver && driver.kind !== 'person' ? drivenBy(driver).replace(/^by /, '') : ''
  const marks = driven.map(({ who, from_s, until_s }) => {
    const [label, says] = who === 'person' ? ['Person', driven.length > 1 ? 'A person took over' : 'A person drove'] : [who === 'policy' ? 'Policy' : 'Script', `${by || `a ${who}`} drove`]
    return markOf(`by-${who}`, from_s, until_s, label, says.charAt(0).toUpperCase() + says.slice(1))
  })
  return { name: 'driven', title: 'Driven by', marks: alone ? [] : marks }
}

function limits({ limited }: Timeline): Track {
  const marks = limited.map(({ rule, times, from_s, until_s }) => {
    const why = LIMITS[rule] ?? rule.replaceAll('_', ' ')
    return markOf('limit', from_s, until_s, SHORT[rule] ?? 'Limit', `Limited${times > 1 ? `, in ${times} steps` : ''}: ${why}`)
  })
  return { name: 'limits', title: 'Limits', marks }
}

function pauses({ guarded }: Timeline): Track {
  const seen = guarded.filter(({ state, from_s, until_s }) => state !== 'armed' && until_s - from_s >= NOTICED_S)
  const marks = seen.map(({ state, from_s, until_s }) => markOf(state === 'estopped' || state === 'faulted' ? 'stopped' : 'held', from_s, until_s, state === 'estopped' ? 'Stopped' : 'Held', GUARDS[state] ?? state))
  return { name: 'safety', title: 'Safety', marks }
}

function camera({ name, troubles }: Timeline['cameras'][number]): Track {
  const marks = troubles.map(({ trouble, pictures, from_s, until_s }) =>
    markOf('camera', from_s, until_s, trouble.charAt(0).toUpperCase() + trouble.slice(1), `Camera ${name}: ${CAMERAS[trouble] ?? trouble}${pictures > 0 ? ` (${pictures} ${pictures === 1 ? 'picture' : 'pictures'})` : ''}`),
  )
  return { name: `camera-${name}`, title: name, marks }
}

function notes({ notes }: Timeline): Track {
  return { name: 'notes', title: 'Said', marks: notes.map(({ at_s, text }) => markOf('note', at_s, at_s, text, `Said: ${text}`)) }
}
