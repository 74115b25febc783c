import { expect, test, vi } from 'vitest'
import format from '../../../../../recorder/FORMAT.md?raw'
import { troubleOf } from '../trouble'
import { heldState, HeldError, uncheckedSays } from './held'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

const NAMES = [...(/### 6\.1[^]*?\n\n(\| reason[^]*?)\n\n/.exec(format)?.[1] ?? '').matchAll(/`(\w+)`(?=[^|\n]*\|[^|\n]*\|$|, `)/gm)]
  .map((found) => found[1] as string)
  .filter((name) => /^[A-Z][a-z]+[A-Z]/.test(name))

test('every reason of FORMAT.md has words of its own', () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(9)
  for (const name of NAMES) expect(heldState(`${name}: more for programs`), name).toMatch(/^Waiting to be checked: [a-z].*[a-z]$/)
})

test.each([null, '', 'SomethingNew: of a newer hub', 'finished'])('a reason that this page does not know (%s) is not shown', (reason) => {
  expect(heldState(reason)).toBe('Waiting to be checked')
})

test('a person is told that a held drive is safe, and where it is', () => {
  const { code, says, todo } = troubleOf(new HeldError('WorkerLost: the worker that checked it was interrupted'))
  expect([code, todo]).toEqual(['held', 'lobby'])
  expect(says).toMatch(/^Waiting to be checked: the check was interrupted\. Your drive is signed and safe/)
})

test('before a drive that cannot be checked a person is told why, and that it is not paid till then', () => {
  expect(uncheckedSays("UnknownRobot: this robot's description is not here")).toBe(
    "Drives cannot be checked at the moment: the hub does not have the robot's model. What you drive is kept, and is not paid until it can be checked.",
  )
  expect(uncheckedSays('SomethingNew: of a newer hub')).toContain('the hub does not say why')
})
