import { expect, test } from 'vitest'
import type { Timeline } from './answers'
import { tracksOf } from './tracks'

const TIMELINE: Timeline = {
  format: 2,
  task: { name: 'lift', instruction: 'Lift it.', stages: [] },
  robot: { name: 'so', model: 'so101', simulated: false },
  engine: [],
  seed: 7,
  control_hz: 20,
  steps: 200,
  length_s: 10,
  reason: 'finished',
  driven: [{ who: 'person', from_s: 0, until_s: 10 }],
  guarded: [],
  limited: [],
  notes: [],
  cameras: [],
  drawn: [],
}
const tracks = (said: Partial<Timeline>, driver: Parameters<typeof tracksOf>[3] = null) => Object.fromEntries(tracksOf({ ...TIMELINE, ...said }, [], [], driver).map(({ name, marks }) => [name, marks]))

test('a person who drove all the time needs no row for that, and rows without anything are not there', () => {
  expect(tracks({})).toEqual({})
  expect(tracksOf(null, [], [], null)).toEqual([])
})

test('a person who took over from a policy is told by when', () => {
  const driven = [{ who: 'policy', from_s: 0, until_s: 4 }, { who: 'person', from_s: 4, until_s: 6 }, { who: 'policy', from_s: 6, until_s: 10 }] as Timeline['driven']
  const { driven: marks } = tracks({ driven }, { kind: 'policy', name: 'act:best', sha256: '' })
  expect(marks?.map(({ says, from_s }) => [says, from_s])).toEqual([['The policy act:best drove', 0], ['A person took over', 4], ['The policy act:best drove', 6]])
})

test('limits, cameras and words are told as people speak', () => {
  const found = tracks({
    limited: [{ rule: 'workspace', times: 3, from_s: 1, until_s: 2 }, { rule: 'brand_new', times: 1, from_s: 3, until_s: 3 }],
    cameras: [{ name: 'desk', codec: 'h264', width: 4, height: 4, fps: 30, pictures: 9, bytes: 9, troubles: [{ trouble: 'frozen', pictures: 1, from_s: 5, until_s: 6 }] }],
    notes: [{ at_s: 2, text: 'It slips.' }],
  })
  expect(found['limits']?.map(({ says }) => says)).toEqual(['Limited, in 3 steps: the hand was at the edge of its workspace', 'Limited: brand new'])
  expect(found['camera-desk']?.[0]?.says).toBe('Camera desk: the picture stood still (1 picture)')
  expect(found['notes']?.[0]).toMatchObject({ says: 'Said: It slips.', from_s: 2, until_s: 2 })
})

test('a hold that nobody notices is not drawn, nor the wait before the drive', () => {
  const guarded = [{ state: 'armed', from_s: 0, until_s: 3 }, { state: 'holding', from_s: 4, until_s: 4.1 }, { state: 'expired', from_s: 5, until_s: 6 }]
  expect(tracks({ guarded })['safety']?.map(({ says, from_s }) => [says, from_s])).toEqual([['No command came in time, so the robot held still', 5]])
})

test('stages, who drove, the score, limits and words are rows of one line of time, in that order', () => {
  const timeline: Timeline = {
    ...TIMELINE,
    driven: [{ who: 'policy', from_s: 0, until_s: 4 }, { who: 'person', from_s: 4, until_s: 6 }],
    limited: [{ rule: 'workspace', times: 1, from_s: 1, until_s: 2 }],
    notes: [{ at_s: 3, text: 'Left first.' }],
  }
  const stages = [{ name: 'reach the cube', fromS: 0, untilS: 2 }, { name: 'lift it', fromS: 2, untilS: 6 }]
  const found = tracksOf(timeline, stages, [{ kind: 'mistake', from_s: 2, until_s: 3 }], null)
  expect(found.map(({ name }) => name)).toEqual(['stages', 'driven', 'score', 'limits', 'notes'])
  expect(found[0]?.marks.map(({ label, from_s, until_s }) => [label, from_s, until_s])).toEqual([['reach the cube', 0, 2], ['lift it', 2, 6]])
})
