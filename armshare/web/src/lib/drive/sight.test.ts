import { expect, test } from 'vitest'
import type { Operator, RobotDetail } from '../account/api'
import type { Descriptor, Layout } from '../link/descriptor'
import { LIMIT_RULES, type State } from '../link/wire'
import { Sight } from './sight.svelte'

const array = (name: string, shape: number[]) => ({ name, shape, unit: '', doc: '' })
const OBSERVATION = [array('hand_pose', [7]), array('joint_position', [1]), array('commanded_joint_position', [1]), array('gripper_position', [1])]
const DESCRIPTOR = {
  control_hz: 20,
  observation: OBSERVATION,
  scene: { bodies: [] },
  end_effectors: [{ name: 'hand', pose: 'hand_pose', gripper_joints: { finger: [0, 1] } }],
  base: null,
} as unknown as Descriptor
const ROBOT = { robot: '0xR', descriptor: DESCRIPTOR } as RobotDetail
const NEEDS = { moved_m: 0.05, rest_s: 0.5, duration_s: 5, limited: 0.25 }

function sight(operator: Operator | null = null) {
  const of = new Sight()
  of.appear(ROBOT)
  of.ready(operator)
  let seq = 0
  const state = (change: Partial<State> = {}, x = 0.3) => {
    seq += 1
    const values = Float32Array.from([x, 0, 0.4, 0, 0, 0, 1, 0.5, 0.5, 0.9])
    return { seq, epoch: 7, limits: 0, recording: true, succeeded: false, safety: 'driving', tHostUs: BigInt(seq * 50_000), values, ...change } as State
  }
  const see = (one: State, atMs = performance.timeOrigin + one.seq * 50) => of.see(one, atMs, of.layout as Layout)
  return { of, state, see }
}

test('a state tells where the hand and the gripper are, and is drawn', () => {
  const { of, state, see } = sight()
  expect([of.hand(0), of.openings, of.picture(0, false)]).toEqual([null, null, null])
  see(state())
  expect(of.hand(0)?.position.x).toBeCloseTo(0.3)
  expect(of.hand(1)).toBeNull()
  expect(of.openings?.[0]).toBeCloseTo(0.9)
  expect(of.picture(1e6, false)?.[0]).toBeCloseTo(0.3)
})

test('steps count from the first recorded state on', () => {
  const { of, state } = sight()
  state()
  expect(of.record(state())).toBe(true)
  expect(of.record(state())).toBe(false)
  expect(of.steps).toBe(2)
  state() // lost on its way
  of.record(state())
  expect(of.steps).toBe(4)
  expect(of.seconds).toBeCloseTo(0.2)
  of.ready(null)
  expect([of.steps, of.replay.lengthS]).toEqual([0, 0])
  expect(of.record(state())).toBe(true)
})

test('a drive that was come back to goes on counting where it was', () => {
  const { of, state } = sight()
  const next = state()
  of.goOn({ steps: 40, seq: next.seq - 1 })
  expect(of.steps).toBe(40)
  expect(of.record(next)).toBe(false)
  expect(of.steps).toBe(41)
})

test('a drive of which nothing was recorded begins to count where it is driven', () => {
  const { of, state } = sight()
  of.goOn({ steps: 0, seq: state().seq })
  state() // at rest
  expect(of.record(state())).toBe(true)
  expect(of.steps).toBe(1)
})

test('what was recorded is drawn again after an episode', () => {
  const { of, state, see } = sight()
  for (const x of [0.3, 0.4, 0.5]) {
    const one = state({}, x)
    see(one)
    of.record(one)
  }
  of.replay.scrub(0.05)
  expect(of.picture(1e6, true)?.[0]).toBeCloseTo(0.4)
  expect(of.picture(1e6, false)?.[0]).toBeCloseTo(0.5)
})

test('what holds the arm back is told while it lasts, and forgotten with the episode', () => {
  const { of, state, see } = sight()
  for (let i = 0; i < 6; i++) see(state({ limits: LIMIT_RULES.joint_position }))
  expect(of.hint).toBe('joint')
  of.ready(null)
  see(state())
  expect(of.hint).toBeNull()
})

test('only who is not paid yet is guided', () => {
  const { of, state } = sight({ qualified: false, needs: NEEDS } as Operator)
  expect(of.guided?.map((each) => each.name)).toContain('move_x')
  of.record(state({}, 0.3))
  of.record(state({}, 0.4))
  of.record(state({}, 0.3))
  expect(of.guided?.find((each) => each.name === 'move_x')?.done).toBe(true)
  of.ready({ qualified: true, needs: NEEDS } as Operator)
  expect(of.guided).toBeNull()
})

test('a robot at another task is drawn and read as it is there, and must appear first', () => {
  const { of, state, see } = sight()
  of.drawn = true
  of.turnTo(DESCRIPTOR)
  expect(of.drawn).toBe(true)
  of.turnTo({ ...DESCRIPTOR, observation: [array('cube_pose', [7]), ...OBSERVATION] })
  expect(of.drawn).toBe(false)
  see(state({ values: Float32Array.from([9, 9, 9, 0, 0, 0, 1, 0.6, 0, 0.4, 0, 0, 0, 1, 0.5, 0.5, 0.2]) }))
  expect(of.hand(0)?.position.x).toBeCloseTo(0.6)
  expect(of.openings?.[0]).toBeCloseTo(0.2)
})
