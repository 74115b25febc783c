import { expect, test } from 'vitest'
import { basePose, type Descriptor, Layout, LayoutError, partsOf, stageAt } from './descriptor'

const array = (name: string, ...shape: number[]) => ({ name, shape, unit: '', doc: '' })
const hand = (name: string) => ({
  name,
  link: name,
  joint_names: [] as string[],
  workspace_lower_m: [0, 0, 0] as [number, number, number],
  workspace_upper_m: [1, 1, 1] as [number, number, number],
  gripper_joints: {},
  base_link: null,
  pose: `${name}_ee_pose`,
})

const descriptor = (more: Partial<Descriptor>): Descriptor => ({
  name: 'one',
  model: 'one',
  urdf: '',
  simulated: true,
  control_hz: 20,
  joint_names: ['lift', 'heading', 'x', 'y'],
  joint_lower_rad: [0, 0, 0, 0],
  joint_upper_rad: [0, 0, 0, 0],
  home_rad: [0, 0, 0, 0],
  end_effectors: [hand('hand')],
  base: null,
  observation: [array('joint_position', 4), array('cube_pose', 2, 7)],
  scene: { bodies: [] },
  tasks: [],
  ...more,
})

const base = { joint_names: ['x', 'y', 'heading'] as [string, string, string], speed_max_m_s: 0.6, turn_max_rad_s: 1 }
const values = Float32Array.from({ length: 18 }, (_, i) => i)

test('the keys move each hand, then the base where there is one', () => {
  expect(partsOf(descriptor({}))).toEqual(['hand'])
  expect(partsOf(descriptor({ end_effectors: [hand('left'), hand('right')] }))).toEqual(['left', 'right'])
  expect(partsOf(descriptor({ base }))).toEqual(['hand', 'base'])
})

test.each([
  [0, 'reach'],
  [0.32, 'reach'],
  [0.34, 'carry'],
  [0.7, 'let go'],
  [1, 'let go'],
])('a progress of %d is in the stage %s, for stages are equal parts', (progress, stage) => {
  expect(stageAt(['reach', 'carry', 'let go'], progress)).toBe(stage)
})

test('a task without stages is in none', () => expect(stageAt([], 0.5)).toBeNull())

test('arrays lie end to end, and a body may be one row of several', () => {
  const layout = new Layout(descriptor({}).observation)
  expect([...(layout.get(values, 'joint_position') ?? [])]).toEqual([0, 1, 2, 3])
  expect([...(layout.get(values, 'cube_pose', 1) ?? [])]).toEqual([11, 12, 13, 14, 15, 16, 17])
  expect(layout.get(values, 'bin_pose')).toBeNull()
  expect(layout.quaternions).toEqual([7, 14])
})

test('a speed is not a place', () => {
  const layout = new Layout([array('joint_position', 2), { ...array('cube_velocity', 3), unit: 'm/s' }, array('opening', 1)])
  expect(layout.places).toEqual([0, 1, 5])
})

test('a state that is not as long as the descriptor says is refused', () => {
  const layout = new Layout(descriptor({}).observation)
  expect(() => layout.get(values.subarray(1), 'joint_position')).toThrow(LayoutError)
})

test('a base is where its three joints are, by name', () => {
  const layout = new Layout(descriptor({}).observation)
  expect(basePose(descriptor({ base }), layout, values)).toEqual([2, 3, 1])
  expect(basePose(descriptor({}), layout, values)).toBeNull()
})
