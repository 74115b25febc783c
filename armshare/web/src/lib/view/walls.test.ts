import { expect, test } from 'vitest'
import { nameOf, touched } from './walls'

type Triple = [number, number, number]
const box = { workspace_lower_m: [0.2, -0.4, 0] as Triple, workspace_upper_m: [0.7, 0.4, 0.6] as Triple }
const names = (hand: Triple, held = false) => touched(box, hand, held).map(nameOf)

test('a hand in the midst touches no wall', () => expect(names([0.45, 0, 0.3])).toEqual([]))

test('a hand within a centimetre of a wall touches it, and beyond it too', () => {
  expect(names([0.695, 0, 0.3])).toEqual(['x+'])
  expect(names([0.71, 0, 0.3])).toEqual(['x+'])
  expect(names([0.205, -0.4, 0.005])).toEqual(['x-', 'y-', 'z-'])
})

test('where the workspace holds a hand that is at no wall, the nearest lights up', () => {
  expect(names([0.45, 0.37, 0.3], true)).toEqual(['y+'])
  expect(names([0.695, 0.37, 0.3], true)).toEqual(['x+'])
})
