// Which motions an arm cannot make from where it stands, and why: a joint at the end of its range, or a turn that it has
// no joint for. It is known before a key is pressed, from the axes of the joints.
//
// As the driver's own kinematics do (`sim/motion/_native.c`): the hand's place comes first, turns use what the joints
// have left, and a joint that would be pushed beyond its range is left out. Damped least squares; three rows, so that
// the inverse is one of 3 x 3.

import { AXES, type Axis, type Motion } from './bindings'

export type Triple = readonly [number, number, number]

/** One joint of an arm, in the frame in which its hand is moved. */
export interface JointAxis {
  name: string
  /** How the hand's place moves with it, m/rad, and how the hand turns, rad/rad. */
  moves: Triple
  turns: Triple
  /** Whether it stands at the lower or the upper end of its range. */
  end: -1 | 0 | 1
}

export type Why = { why: 'joint'; joint: string } | { why: 'missing' } | { why: 'edge' }
export type Ways = ReadonlyMap<Motion, Why>

/** Below this share of what is asked, the arm does something else, or nothing. */
const ENOUGH = 0.4
const DAMPING_M = 0.02
const DAMPING_RAD = 0.1

/** What the arm cannot do from here: each motion of the hand that it makes by less than `ENOUGH`. */
export function waysOf(joints: readonly JointAxis[]): Ways {
  const found = new Map<Motion, Why>()
  for (const axis of AXES)
    for (const sign of [1, -1] as const) {
      const why = lacking(joints, axis, sign)
      if (why) found.set(`${axis}${sign > 0 ? '+' : '-'}`, why)
    }
  return found
}

function lacking(joints: readonly JointAxis[], axis: Axis, sign: 1 | -1): Why | null {
  const whole = done(joints, axis, sign)
  if (whole.share < ENOUGH) return { why: 'missing' }
  let [left, made] = [joints, whole]
  for (let again = 0; again < joints.length; again++) {
    const pushed = left.filter(({ end }, i) => end !== 0 && end * (made.step[i] ?? 0) > 1e-6)
    if (pushed.length === 0) return null
    left = left.filter((joint) => !pushed.includes(joint))
    made = done(left, axis, sign)
    if (made.share < ENOUGH) return { why: 'joint', joint: foremost(pushed, joints, whole.step) }
  }
  return null
}

/** Of the joints that stand at an end, the one that was to do most. */
function foremost(pushed: readonly JointAxis[], joints: readonly JointAxis[], step: readonly number[]): string {
  const part = (joint: JointAxis) => Math.abs(step[joints.indexOf(joint)] ?? 0)
  return pushed.toSorted((a, b) => part(b) - part(a))[0]?.name ?? ''
}

/** How much of a motion the joints make, in [0, 1], and how each moves for it. */
function done(joints: readonly JointAxis[], axis: Axis, sign: number): { share: number; step: number[] } {
  const at = AXES.indexOf(axis)
  const asked = [0, 1, 2].map((k) => (k === at % 3 ? sign : 0))
  const place = [0, 1, 2].map((k) => joints.map(({ moves }) => moves[k] ?? 0))
  const rows = at < 3 ? place : unmoving([0, 1, 2].map((k) => joints.map(({ turns }) => turns[k] ?? 0)), place)
  const step = solved(rows, asked, at < 3 ? DAMPING_M : DAMPING_RAD)
  return { share: sign * dot(rows[at % 3] ?? [], step), step }
}

/** The part of each row that leaves the hand's place where it is. */
function unmoving(rows: number[][], place: readonly number[][]): number[][] {
  const held: number[][] = []
  for (const row of place) {
    const rest = held.reduce((left, unit) => minus(left, unit, dot(left, unit)), row)
    const length = Math.sqrt(dot(rest, rest))
    if (length > DAMPING_M) held.push(rest.map((value) => value / length))
  }
  return rows.map((row) => held.reduce((left, unit) => minus(left, unit, dot(left, unit)), row))
}

/** The shortest joint motion for `asked`: rows^T (rows rows^T + damping^2)^-1 asked. */
function solved(rows: readonly number[][], asked: readonly number[], damping: number): number[] {
  const square = rows.map((one, i) => rows.map((other, j) => dot(one, other) + (i === j ? damping ** 2 : 0)))
  const [a, b, c] = square as [number[], number[], number[]]
  const whole = dot(a, cross(b, c))
  const weights = [cross(b, c), cross(c, a), cross(a, b)].reduce(
    (sum, side, i) => sum.map((value, k) => value + ((asked[i] ?? 0) * (side[k] ?? 0)) / whole),
    [0, 0, 0],
  )
  return (rows[0] ?? []).map((_, n) => rows.reduce((sum, row, k) => sum + (row[n] ?? 0) * (weights[k] ?? 0), 0))
}

const dot = (one: readonly number[], other: readonly number[]): number =>
  one.reduce((sum, value, i) => sum + value * (other[i] ?? 0), 0)
const minus = (from: readonly number[], unit: readonly number[], times: number): number[] =>
  from.map((value, i) => value - times * (unit[i] ?? 0))
const cross = (one: readonly number[], other: readonly number[]): number[] =>
  [0, 1, 2].map((k) => (one[(k + 1) % 3] ?? 0) * (other[(k + 2) % 3] ?? 0) - (one[(k + 2) % 3] ?? 0) * (other[(k + 1) % 3] ?? 0))

/** So near to the end of where it may go a base stands at it, m and rad. */
const BASE_END = 0.03

/** The same of a mobile base at x, y (m) and heading (rad): forward and back, and both keys of a turn. */
export function baseWaysOf(at: Triple, lower: Triple, upper: Triple): Ways {
  const found = new Map<Motion, Why>()
  const [, , heading] = at
  const leaves = (axis: 0 | 1 | 2, sign: number) =>
    Math.abs(sign) > 0.1 && (sign > 0 ? upper[axis] - at[axis] : at[axis] - lower[axis]) < BASE_END
  for (const sign of [1, -1] as const) {
    const end = sign > 0 ? '+' : '-'
    if (leaves(0, sign * Math.cos(heading)) || leaves(1, sign * Math.sin(heading))) found.set(`x${end}`, { why: 'edge' })
    if (leaves(2, sign)) for (const axis of ['y', 'yaw'] as const) found.set(`${axis}${end}`, { why: 'edge' })
  }
  return found
}
