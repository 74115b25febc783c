import { beforeEach, expect, test, vi } from 'vitest'

/** A browser's address, as far as the router sees it. */
const page = Object.assign(new EventTarget(), { hash: '#/drive/panda-1/lift' })
vi.stubGlobal('location', page)
vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
vi.stubGlobal('history', { state: null, replaceState: (_state: unknown, _title: string, to: string) => void (page.hash = to) })
const { Router } = await import('./router.svelte')

const go = (hash: string) => {
  page.hash = hash
  page.dispatchEvent(new Event('hashchange'))
}

beforeEach(() => void (page.hash = '#/drive/panda-1/lift'))

test('a page that is not guarded is left at once', () => {
  const router = new Router()
  go('#/')
  expect(router.route).toEqual({ page: 'lobby' })
  expect(router.asking).toBeNull()
})

test('a guarded page stays, its address too, until the question is answered', () => {
  const router = new Router()
  router.guard(() => true)
  go('#/')
  expect(router.asking).toBe('#/')
  expect(router.route.page).toBe('drive')
  expect(page.hash).toBe('#/drive/panda-1/lift')
  router.stay()
  expect(router.asking).toBeNull()
  go('#/rules')
  expect(router.asking).toBe('#/rules')
  router.leave()
  page.dispatchEvent(new Event('hashchange'))
  expect(page.hash).toBe('#/rules')
  expect(router.route).toEqual({ page: 'rules' })
})

test('a guard asks only while there is something to ask for, and not after its page is gone', () => {
  const router = new Router()
  let recorded = false
  const end = router.guard(() => recorded)
  go('#/')
  expect(router.route.page).toBe('lobby')
  go('#/drive/panda-1/lift')
  recorded = true
  end()
  go('#/')
  expect(router.asking).toBeNull()
  expect(router.route.page).toBe('lobby')
})
