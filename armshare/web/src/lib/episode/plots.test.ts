import { expect, test } from 'vitest'
import type { Channel, Origin } from './answers'
import { panelsOf, rangeOf, rowAt, shortNumber } from './plots'

const channel = (name: string, group: string, origin: Origin, columns: [name: string, unit: string][]): Channel => ({ name, group, origin, doc: '', columns: columns.map(([name, unit]) => ({ name, unit })) })
const JOINTS: [string, string][] = [['arm_1', 'rad'], ['arm_2', 'rad']]
const POSE: [string, string][] = [...['x', 'y', 'z'].map((name) => [name, 'm'] as [string, string]), ...['qx', 'qy', 'qz', 'qw'].map((name) => [name, '1'] as [string, string])]

test('what was applied lies over what was measured, with the same colours', () => {
  const panels = panelsOf([channel('applied/joint_position', 'joints', 'applied', JOINTS), channel('observation/joint_position', 'joints', 'measured', JOINTS)])
  expect(panels).toHaveLength(1)
  expect(panels[0]).toMatchObject({ title: 'Joint positions', unit: 'rad', columns: ['arm_1', 'arm_2'], more: false })
  expect(panels[0]?.strands.map(({ origin }) => origin)).toEqual(['applied', 'measured'])
})

test('metres and quaternions never share an axis, and orientations are for those who ask', () => {
  const panels = panelsOf([channel('observation/ee_pose', 'hands', 'measured', POSE), channel('applied/ee_pose', 'hands', 'applied', POSE)])
  expect(panels.map(({ title, unit, columns, more }) => [title, unit, columns.length, more])).toEqual([
    ['Hand position', 'm', 3, false],
    ['Hand: orientation', '1', 4, true],
  ])
  expect(panels[1]?.strands[0]?.columns).toEqual([3, 4, 5, 6])
})

test('two things have a panel each, though both have a place', () => {
  const panels = panelsOf([channel('observation/cube_pose', 'things', 'measured', POSE), channel('observation/lid_pose', 'things', 'measured', POSE)])
  expect(panels.filter(({ more }) => !more).map(({ title }) => title)).toEqual(['Cube: position', 'Lid: position'])
})

test('times share a panel, each by its own name', () => {
  const [panel, ...more] = panelsOf([channel('timing/period', 'timing', 'computed', [['period', 'ms']]), channel('timing/command_age', 'timing', 'computed', [['age of command', 'ms']])])
  expect(more).toEqual([])
  expect(panel).toMatchObject({ title: 'Timing', unit: 'ms', columns: ['period', 'age of command'] })
})

test('a channel of a newer hub is drawn under its own name', () => {
  expect(panelsOf([channel('observation/servo_load', 'other', 'measured', [['1', '1']])])[0]).toMatchObject({ title: 'Servo load', more: true })
})

test.each([
  [-1, 0],
  [0, 0],
  [0.5, 2],
  [0.49, 1],
  [9, 4],
])('at %f s the newest row is told', (atS, row) => {
  expect(rowAt([0, 0.25, 0.5, 0.75, 1], atS)).toBe(row)
})

test('numbers are short, and a small negative one is no minus zero', () => {
  expect([0.12345, -1.2345, 12.345, 1234.5, -0.0001, Number.NaN].map(shortNumber)).toEqual(['0.123', '−1.23', '12.3', '1235', '0.000', '–'])
})

test('what cannot be drawn has no range', () => {
  expect(rangeOf([Float32Array.of(1, Number.NaN, -2), Float32Array.of(5)])).toEqual([-2, 5])
  expect(rangeOf([Float32Array.of(Number.NaN)])).toBeNull()
})
