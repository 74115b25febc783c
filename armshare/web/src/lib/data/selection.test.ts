import { expect, test } from 'vitest'
import { everything, has, many, NOTHING, toggled } from './selection'

const SHOWN = ['a', 'b', 'c', 'd', 'e']
const list = (selection: { chosen: ReadonlySet<string> }): string => [...selection.chosen].toSorted().join('')

test('one is chosen and left out again', () => {
  const one = toggled(NOTHING, 'b', SHOWN)
  expect(list(one)).toBe('b')
  expect(list(toggled(one, 'b', SHOWN))).toBe('')
  expect(list(NOTHING)).toBe('')
})

test('with shift, all from the last one to this one become as the last one is', () => {
  const one = toggled(NOTHING, 'b', SHOWN)
  const stretch = toggled(one, 'd', SHOWN, true)
  expect(list(stretch)).toBe('bcd')
  expect(list(toggled(toggled(NOTHING, 'd', SHOWN), 'b', SHOWN, true))).toBe('bcd')
  const less = toggled(stretch, 'c', SHOWN)
  expect(list(toggled(less, 'e', SHOWN, true))).toBe('b')
})

test('a stretch without a beginning, or whose beginning is gone, is one', () => {
  expect(list(toggled(NOTHING, 'd', SHOWN, true))).toBe('d')
  expect(list(toggled(toggled(NOTHING, 'z', ['z']), 'd', SHOWN, true))).toBe('dz')
})

test('all that match are chosen, also those that are not shown; leaving one out keeps the others that are shown', () => {
  const all = everything()
  expect(has(all, 'not shown')).toBe(true)
  expect(many(all, 1240)).toBe(1240)
  const less = toggled(all, 'c', SHOWN)
  expect(less.all).toBe(false)
  expect(list(less)).toBe('abde')
  expect(many(less, 1240)).toBe(4)
})
