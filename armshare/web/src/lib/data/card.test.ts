import { expect, test } from 'vitest'
import { byName, driverNamed, engineNamed, frameOf, lengthBars, readCard, scoreBars, sentence, statisticsOf, taskNamed } from './card'

const LISTED = { first: [], others: 0 }
const CARD = { format: 'armshare.card/1', scores: [], robots: [], cameras: [], faults: [], starts: [], arrays: [], unread: [], tasks: LISTED, operators: LISTED, drivers: LISTED, engines: LISTED, models: LISTED }

test('a card is read if it is one that this page knows', () => {
  expect(readCard(CARD)).toEqual(CARD)
  for (const other of [null, 'card', {}, { ...CARD, format: 'armshare.card/2' }, { ...CARD, scores: null }, { ...CARD, operators: {} }]) expect(readCard(other)).toBeNull()
})

test('scores are bars of five points, with a mark at every twenty', () => {
  const { bars, edges } = scoreBars({ counts: Array.from({ length: 20 }, (_, i) => i) })
  expect(bars[19]).toEqual({ says: '95 to 100', count: 19 })
  expect(edges.filter(Boolean)).toEqual(['0', '20', '40', '60', '80', '100'])
})

test('lengths are shown from the first bin that has episodes to the last', () => {
  const lengths = { from_s: [0, 1, 2, 5, 3600], counts: [0, 3, 0, 2, 1], min_s: 1.2, max_s: 4000 }
  const { bars, edges } = lengthBars(lengths)
  expect(bars).toEqual([
    { says: '1 s to 2 s', count: 3 },
    { says: '2 s to 5 s', count: 0 },
    { says: '5 s to 60 min', count: 2 },
    { says: '60 min and more', count: 1 },
  ])
  expect(edges).toEqual(['1 s', '2 s', '5 s', '60 min', ''])
  expect(lengthBars({ ...lengths, counts: [0, 0, 0, 0, 0] }).bars).toEqual([])
})

test('who does not see a plot is told where most of it is', () => {
  expect(sentence({ bars: [{ says: '1 to 2', count: 1 }, { says: '2 to 5', count: 4 }], edges: [] }, 'Lengths')).toBe('Lengths of 5 episodes; most, 4, at 2 to 5')
  expect(sentence({ bars: [], edges: [] }, 'Scores')).toBe('Scores: nothing yet')
})

test('starts are shown whole, with as many metres to a pixel along both sides', () => {
  const starts = { task: 'lift', model: 'panda', episodes: 2, lower_m: [0.4, -0.1], upper_m: [0.6, 0.1], points_m: [[0.4, 0.1], [0.6, -0.1]] }
  const frame = frameOf(starts, 1.5)
  expect(frame).not.toBeNull()
  const { x, y } = frame as NonNullable<typeof frame>
  expect((x[1] - x[0]) / (y[1] - y[0])).toBeCloseTo(1.5)
  expect(x[0]).toBeLessThan(0.4)
  expect(y[1]).toBeGreaterThan(0.1)
  expect(frameOf({ ...starts, lower_m: [], upper_m: [], points_m: [] }, 1.5)).toBeNull()
})

test('what a card lists is called as people call it', () => {
  expect(['lift 1', 'pick_place 2', 'lift'].map(taskNamed)).toEqual(['Lift', 'Pick place, version 2', 'Lift'])
  expect(['person', 'policy my_policy:act', 'script sim.tasks.lift:Lift.expert'].map(driverNamed)).toEqual(['People', 'Policy my_policy:act', 'Script sim.tasks.lift:Lift.expert'])
  expect(engineNamed('api 2, control_hz 20, name pybullet, scene ab, version 3.2.7')).toBe('Pybullet 3.2.7')
  expect(byName({ first: [{ name: 'name a, x', episodes: 2 }, { name: 'name a, y', episodes: 3 }], others: 1 }, engineNamed)).toEqual({ first: [{ name: 'A', episodes: 5 }], others: 1 })
  expect(engineNamed('something else')).toBe('something else')
})

test('statistics are of arrays first, then of pictures, recorded and drawn; a camera without any has no row', () => {
  const numbers = { min: [0], max: [1], mean: [0.5], std: [0.1] }
  const camera = { model: 'panda', name: 'desk', codec: 'h264', width: 4, height: 4, episodes: 1, pictures: 9, numbers }
  const arrays = [{ model: 'panda', name: 'observation/joint_position', unit: 'rad', numbers }]
  const said = { arrays, cameras: [camera, { ...camera, name: 'deep', codec: 'depth16' }, { ...camera, numbers: null }] }
  expect(statisticsOf({ ...said, drawn: [{ ...camera, name: 'front', codec: 'drawn' }] }).map(({ name, unit }) => [name, unit])).toEqual([
    ['observation/joint_position', 'rad'],
    ['pictures of desk', 'red green blue'],
    ['pictures of deep', 'mm'],
    ['pictures of front, drawn', 'red green blue'],
  ])
  expect(statisticsOf({ arrays, cameras: [] })).toHaveLength(1)
})
