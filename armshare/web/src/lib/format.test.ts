import { expect, test } from 'vitest'
import { drivenBy, left, ofSize, wait } from './format'

test.each([
  [0, 'less than a minute'],
  [29, 'less than a minute'],
  [30, 'about a minute'],
  [89, 'about a minute'],
  [90, 'about 2 minutes'],
  [900, 'about 15 minutes'],
])('a wait of %i s is %s', (seconds, said) => {
  expect(wait(seconds)).toBe(said)
})

test.each([
  [-3, '0 s'],
  [59.9, '59 s'],
  [60, '1 min'],
  [899, '14 min'],
])('%i s are left as %s', (seconds, said) => {
  expect(left(seconds)).toBe(said)
})

test.each([
  [0, 500, '0 of 1 kB'],
  [34_999, 119_001, '34 of 120 kB'],
  [1_234_567, 3_400_000, '1.2 of 3.4 MB'],
])('%i of %i bytes are %s', (bytes, length, said) => {
  expect(ofSize(bytes, length)).toBe(said)
})

test.each([
  [{ kind: 'person', name: '', sha256: '' }, 'by a person'],
  [{ kind: 'script', name: 'sim.tasks.lift:LiftExpert', sha256: '5' }, 'by the script sim.tasks.lift:LiftExpert'],
  [{ kind: 'policy', name: 'my_policy:act', sha256: '5' }, 'by the policy my_policy:act'],
  [{ kind: 'policy' }, 'by a policy'],
  [null, ''],
  [undefined, ''],
] as const)('who or what drove is said in plain words: %o', (driver, said) => {
  expect(drivenBy(driver)).toBe(said)
})
