import { expect, test } from 'vitest'
import { brokenBy, latched, stopOf } from './latched'

const heard = (stoppedBy?: string | null, brokenBy?: string | null, stop?: string | null) => ({ stoppedBy, brokenBy, stop })
const card = (estopped: boolean, fault: string | null = null, stop: string | null = null) => ({ estopped, fault, stop })

test.each([
  ['nothing is known', null, null, false],
  ['it was stopped when this page came', heard(), card(true), true],
  ['it was stopped when this page came, and was cleared', heard(null, null), card(true), false],
  ['somebody stopped it', heard('0xB'), card(false), true],
  ['it broke', heard(undefined, 'servo 3 is hot'), card(false), true],
  ['it had broken when this page came', heard(), card(false, 'servo 3 is hot'), true],
  ['it had broken, and was cleared', heard(null, null), card(false, 'servo 3 is hot'), false],
  ['it is as it should be', heard(), card(false), false],
] as const)('a robot is latched or not: %s', (_, view, robot, expected) => {
  expect(latched(view, robot)).toBe(expected)
})

test('what broke it is what was heard last', () => {
  expect(brokenBy(heard(undefined, 'its cable'), card(false, 'its servo'))).toBe('its cable')
  expect(brokenBy(heard(), card(false, 'its servo'))).toBe('its servo')
  expect(brokenBy(heard(null, null), card(false, 'its servo'))).toBeNull()
})

test('a clear names what was heard last', () => {
  expect(stopOf(heard('0xB', undefined, '0x02'), card(true, null, '0x01'))).toBe('0x02')
  expect(stopOf(heard(), card(true, null, '0x01'))).toBe('0x01')
  expect(stopOf(heard(null, null, null), card(true, null, '0x01'))).toBeNull()
  expect(stopOf(null, null)).toBeNull()
})
