import { expect, test } from 'vitest'
import { titled } from './turn'

class FakePage extends EventTarget {
  title = 'armshare'
  hidden = false
  focused = true
  hasFocus = () => this.focused
}

test('somebody who looks at the page needs no telling', () => {
  const page = new FakePage()
  expect(titled(page, new EventTarget(), 'Your turn')).toBe(false)
  expect(page.title).toBe('armshare')
})

test.each([
  ['hidden', (page: FakePage) => (page.hidden = true), (page: FakePage) => (page.hidden = false)],
  ['blurred', (page: FakePage) => (page.focused = false), (page: FakePage) => (page.focused = true)],
])('a %s page says it in its title until it is looked at', (_what, leave, look) => {
  const [page, window] = [new FakePage(), new EventTarget()]
  leave(page)
  expect(titled(page, window, 'Your turn')).toBe(true)
  page.dispatchEvent(new Event('visibilitychange'))
  expect(page.title, 'still away').toBe('Your turn')
  look(page)
  window.dispatchEvent(new Event('focus'))
  expect(page.title).toBe('armshare')
  page.title = 'another'
  window.dispatchEvent(new Event('focus'))
  expect(page.title, 'said once').toBe('another')
})

test('a hidden page that is shown again takes its title back', () => {
  const [page, window] = [new FakePage(), new EventTarget()]
  page.hidden = true
  titled(page, window, 'Your turn')
  page.hidden = false
  page.dispatchEvent(new Event('visibilitychange'))
  expect(page.title).toBe('armshare')
})
