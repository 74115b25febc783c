import { expect, test } from 'vitest'
import { KEYS } from './bindings'
import { type Focused, obeyed } from './focus'

const CONTROLS: Focused[] = [
  { tagName: 'BUTTON' },
  { tagName: 'A' },
  { tagName: 'SUMMARY' },
  { tagName: 'INPUT', type: 'range' },
  { tagName: 'INPUT', type: 'checkbox' },
]
const TEXTS: Focused[] = [
  { tagName: 'INPUT' },
  { tagName: 'INPUT', type: 'text' },
  { tagName: 'INPUT', type: 'password' },
  { tagName: 'INPUT', type: 'number' },
  { tagName: 'TEXTAREA' },
  { tagName: 'SELECT' },
  { tagName: 'DIV', isContentEditable: true },
]
const EVERY_KEY = Object.values(KEYS).flat()

test.each(CONTROLS)('while a robot is driven, no key is taken by $tagName $type', (focused) => {
  for (const code of EVERY_KEY) expect(obeyed(code, focused, true)).toBe(true)
})

test.each(TEXTS)('$tagName $type keeps the keys of who writes there', (focused) => {
  for (const live of [true, false]) for (const code of EVERY_KEY) expect(obeyed(code, focused, live)).toBe(false)
})

test.each(CONTROLS)('while nothing is driven, $tagName $type is pressed and moved by the keyboard', (focused) => {
  for (const code of ['Space', 'Enter', 'ArrowLeft']) expect(obeyed(code, focused, false)).toBe(false)
  expect(obeyed('KeyH', focused, false)).toBe(true)
})

test('without a focus every key is obeyed', () => {
  for (const live of [true, false]) expect(obeyed('Space', null, live)).toBe(true)
  expect(obeyed('Space', { tagName: 'BODY' }, false)).toBe(true)
})
