import { expect, test } from 'vitest'
import { readChannels, readFilm, readNeighbours, readSeries, readTimeline } from './answers'

const base64 = (array: ArrayBufferView) => btoa(String.fromCharCode(...new Uint8Array(array.buffer)))
const LINE = { format: 2, task: { name: 'lift', instruction: 'Lift.', stages: ['a'] }, robot: { name: 'r', model: 'panda', simulated: true }, engine: { name: 'pybullet' }, seed: 3, control_hz: 20, steps: 10, length_s: 0.5, reason: 'finished', driven: [], guarded: [], limited: [], notes: [], cameras: [] }
const FILM = { camera: 'desk', codec: 'jpeg', width: 4, height: 2, depth_unit_m: 0, at: 100, sizes: base64(Uint32Array.of(5, 7)), t_s: base64(Float32Array.of(0, 0.1)), key: base64(Uint8Array.of(1, 1)), marks: base64(Uint8Array.of(0, 4)) }

test('a line of time is read as it is told', () => {
  expect(readTimeline(LINE)).toMatchObject({ control_hz: 20, engine: [['name', 'pybullet']], robot: { simulated: true }, drawn: [] })
  expect(readTimeline({ ...LINE, drawn: ['front', 7, 'wrist'] })?.drawn).toEqual(['front', 'wrist'])
})

test.each([null, 7, [], {}, { ...LINE, length_s: -1 }, { ...LINE, length_s: 1e9 }, { ...LINE, control_hz: 0 }, { ...LINE, task: null }])('%j is no line of time', (answer) => {
  expect(readTimeline(answer)).toBeNull()
})

test('what cannot be right on it is left out, and the rest stays', () => {
  const found = readTimeline({ ...LINE, notes: [{ at_s: 'now', text: 'x' }, { at_s: 1, text: 'It slips.' }, null], limited: [{ rule: 'shape', times: 1, from_s: 3, until_s: 2 }], driven: [{ who: 'ghost', from_s: 0, until_s: 1 }], cameras: [{ name: 'a', codec: 'h264', width: 1e9, height: 2 }] })
  expect(found).toMatchObject({ notes: [{ at_s: 1, text: 'It slips.' }], limited: [], driven: [], cameras: [] })
})

test('curves are as many as columns, and gaps stay gaps', () => {
  const found = readSeries({ t_s: [0, 1], values: base64(Float32Array.of(1, 2, Number.NaN, 4)) }, 2)
  expect(found?.columns.map((column) => [...column])).toEqual([[1, Number.NaN], [2, 4]])
  for (const bad of [null, { t_s: [0, 1], values: 'no base64!' }, { t_s: [1, 0], values: base64(Float32Array.of(1, 2, 3, 4)) }, { t_s: [0], values: base64(Float32Array.of(1, 2, 3, 4)) }]) expect(readSeries(bad, 2)).toBeNull()
  expect(readSeries({ t_s: [], values: '' }, 0)).toBeNull()
})

test('channels without a name, a known origin or columns are left out', () => {
  const good = { name: 'progress', group: 'task', origin: 'measured', doc: 'd', columns: [{ name: 'progress', unit: '1' }] }
  expect(readChannels({ channels: [good, { ...good, origin: 'dreamt' }, { ...good, columns: [] }, null, 'x'] })).toEqual([good])
  expect(readChannels(null)).toEqual([])
})

test('pictures lie one after the other from where the film begins', () => {
  expect([...(readFilm(FILM)?.at ?? [])]).toEqual([100, 105, 112])
  for (const bad of [null, { ...FILM, sizes: base64(Uint32Array.of(5)) }, { ...FILM, t_s: base64(Float32Array.of(1, 0)) }, { ...FILM, at: '0' }, { ...FILM, width: 0 }, { ...FILM, key: 'é' }]) expect(readFilm(bad)).toBeNull()
})

test('neighbours are known by their id, however the hub tells it', () => {
  const found = readNeighbours({ task: { next: 'a', previous: null }, operator: { next: { episode: 'b' }, previous: 7 }, motion: [{ episode: 'c', apart_m: 0.01 }, { episode: 'd', apart_m: -1 }] })
  expect(found).toEqual({ task: { next: 'a', previous: null }, operator: { next: 'b', previous: null }, motion: [{ episode: 'c', apart_m: 0.01 }] })
  expect(readNeighbours(null)).toBeNull()
})
