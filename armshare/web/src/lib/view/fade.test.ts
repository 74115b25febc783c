import { expect, test } from 'vitest'
import { Fade } from './fade'

test('a fade goes where it should at one speed, and stays there', () => {
  const fade = new Fade(200)
  expect(fade.step(1, 5000)).toBe(false)
  expect(fade.step(1, 5050)).toBe(true)
  expect(fade.value).toBeCloseTo(0.25)
  fade.step(1, 6000)
  expect(fade.value).toBe(1)
  expect(fade.step(1, 6010)).toBe(false)
  fade.step(0.4, 6060)
  expect(fade.value).toBeCloseTo(0.75)
  fade.step(0.4, 6500)
  expect(fade.value).toBeCloseTo(0.4)
})
