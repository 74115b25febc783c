import { expect, test, vi } from 'vitest'
import { PlainError } from './trouble'
import { Trying } from './trying.svelte'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

test('what fails is told, until it is tried again', async () => {
  const trying = new Trying()
  await trying.run(() => Promise.reject(new PlainError('Your wallet did not agree.')))
  expect(trying).toMatchObject({ busy: false, trouble: { says: 'Your wallet did not agree.' } })
  let done = () => {}
  const again = trying.run(() => new Promise((resolve) => (done = resolve)))
  expect(trying).toMatchObject({ busy: true, trouble: null })
  done()
  await again
  expect(trying).toMatchObject({ busy: false, trouble: null })
})
