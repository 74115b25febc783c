import { expect, test } from 'vitest'
import { below } from './hang'

test.each([
  ['under a chip at the right', { left: 1100, right: 1250, bottom: 60 }, 1440, 870],
  ['not off the left edge of a phone', { left: 200, right: 374, bottom: 60 }, 390, 16],
  ['not off the right edge', { left: 1300, right: 1500, bottom: 60 }, 1440, 1044],
])('it hangs %s', (_, button, screen, left) => {
  const width = Math.min(380, screen - 32)
  const at = below(button, width, screen)
  expect(at).toEqual({ left, top: 68 })
  expect(at.left + width).toBeLessThanOrEqual(screen - 16)
})
