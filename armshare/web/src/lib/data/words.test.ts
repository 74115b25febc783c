import { expect, test } from 'vitest'
import searched_ from '../../../../../rewards/datasets/words.py?raw'
import { chips, narrows, ORDERS, PARTS, readAsked, searched, withWords, writeAsked } from './words'

const same = (query: string): string => writeAsked(readAsked(query))

test.each([
  '',
  'task=lift',
  'task=lift&driver=policy&score_min=0.8&order=best',
  'operator=0x1C9eddaf8E6400EB5DA8E177f09ed03553337578&since=2026-11-27T14:30:00Z',
  'dataset=lab/lift@2&camera=wrist&view=list',
  'object_path_min=0.8&duration_max_s=12.5',
])('a link to ?%s shows the same again', (query) => {
  expect(same(query)).toBe(query)
})

test('what everybody sees anyway is not in the address, and the words stand in one order', () => {
  expect(same('view=grid&order=newest&camera=front&score_min=0.5&task=lift&model=')).toBe('task=lift&score_min=0.5')
})

test('a word that this page does not know is kept, for the hub to refuse it by name', () => {
  expect(readAsked('colour=red&task=lift').words).toEqual({ colour: 'red', task: 'lift' })
  expect(same('colour=red&task=lift')).toBe('task=lift&colour=red')
  expect(chips({ colour: 'red' })).toEqual([{ names: ['colour'], says: 'colour: red' }])
})

test('a camera that cannot be one is the usual one', () => {
  expect(readAsked('camera=../x').camera).toBe('front')
  expect(readAsked('camera=left_wrist').camera).toBe('left_wrist')
})

test('only episodes that count are looked for, unless somebody asks for others', () => {
  expect(searched({ task: 'lift' })).toEqual({ state: 'verified', task: 'lift' })
  expect(searched({ state: 'held' })).toEqual({ state: 'held' })
  expect(narrows({ task: 'lift', order: 'best' })).toEqual({ task: 'lift' })
})

test('an empty value takes its word away', () => {
  expect(withWords({ task: 'lift', driver: 'person' }, { task: '', model: 'panda' })).toEqual({ driver: 'person', model: 'panda' })
})

test.each<[Record<string, string>, string[]]>([
  [{ task: 'pick_place', order: 'best' }, ['Pick place']],
  [{ score_min: '0.8', score_max: '0.955' }, ['Score 80–95.5']],
  [{ score_min: '0.8' }, ['Score from 80']],
  [{ duration_max_s: '12' }, ['Length up to 12 s']],
  [{ since: '2026-11-01', until: '2026-12-01' }, ['Driven 2026-11-01–2026-12-01']],
  [{ until: '2026-12-01T00:00:00Z' }, ['Driven before 2026-12-01']],
  [{ success: 'false', practice: 'true' }, ['Task not done', 'Practice']],
  [{ driver: 'person', trust: 'witnessed' }, ['People', 'On its host’s word']],
  [{ object_path_min: '0.5', flow_max: '0.9' }, ['Object path from 50', 'Flow up to 90']],
  [{ dataset: 'lab/lift@2' }, ['In lab/lift@2']],
])('%o is read as %o', (words, says) => {
  expect(chips(words).map((chip) => chip.says)).toEqual(says)
})

test('both ends of a range go together', () => {
  expect(chips({ score_min: '0.8', score_max: '1' })[0]?.names).toEqual(['score_min', 'score_max'])
})

test('the hub knows the same parts and orders', () => {
  const listed = (from: RegExp): string[] => [...(from.exec(searched_)?.[1] ?? '').matchAll(/"(\w+)"/g)].map((found) => found[1] as string)
  expect(listed(/^PARTS: Final = \(([^)]*)\)/m)).toEqual([...PARTS])
  expect(listed(/^class Order\(StrEnum\):([^]*?)\n\n\n/m)).toEqual([...ORDERS])
})
