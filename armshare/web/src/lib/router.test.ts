import { beforeEach, expect, test, vi } from 'vitest'

/** A browser's address and history, as far as the router sees them. */
class Browser extends EventTarget {
  #entries = [{ hash: '#/', state: null as unknown }]
  #at = 0

  get hash(): string {
    return this.#entries[this.#at]?.hash ?? ''
  }

  set hash(hash: string) {
    this.#entries = [...this.#entries.slice(0, this.#at + 1), { hash, state: null }]
    this.#move(1)
  }

  get state(): unknown {
    return this.#entries[this.#at]?.state
  }

  replaceState(state: unknown): void {
    const entry = this.#entries[this.#at]
    if (entry) entry.state = state
  }

  go(by: number): void {
    this.#move(by)
  }

  #move(by: number): void {
    const before = this.hash
    this.#at = Math.max(0, Math.min(this.#entries.length - 1, this.#at + by))
    if (this.hash !== before) this.dispatchEvent(new Event('hashchange'))
  }
}

let browser = new Browser()
const through = new Proxy({} as Browser, {
  get: (_, name) => {
    const value = Reflect.get(browser, name, browser) as unknown
    return typeof value === 'function' ? value.bind(browser) : value
  },
  set: (_, name, value) => Reflect.set(browser, name, value, browser),
})
vi.stubGlobal('location', through)
vi.stubGlobal('history', through)
vi.stubGlobal('addEventListener', (type: string, hear: EventListener) => browser.addEventListener(type, hear))
const { Router } = await import('./router.svelte')

beforeEach(() => void (browser = new Browser()))

/** A router whose page is that of a drive, which is asked for as long as something is recorded. */
function driving() {
  const router = new Router()
  browser.hash = '#/drive/panda-1/lift'
  const drive = { recorded: true }
  const end = router.guard(() => drive.recorded)
  return { router, drive, end }
}

test('a page that is not guarded is left at once', () => {
  const router = new Router()
  browser.hash = '#/rules'
  expect(router.route).toEqual({ page: 'rules' })
  browser.go(-1)
  expect(router.route).toEqual({ page: 'lobby' })
  expect(router.asking).toBeNull()
})

test.each([
  ['a link', () => (browser.hash = '#/')],
  ['"back"', () => browser.go(-1)],
])('a guarded page is not left by %s, as often as one tries, and its address stays', (_, go) => {
  const { router } = driving()
  for (let i = 0; i < 3; i++) {
    go()
    expect(router.asking).toBe('#/')
    expect(router.route.page).toBe('drive')
    expect(browser.hash).toBe('#/drive/panda-1/lift')
    router.stay()
    expect(router.asking).toBeNull()
  }
})

test('whoever says so goes where they wanted to', () => {
  const { router } = driving()
  browser.hash = '#/rules'
  router.leave()
  expect(browser.hash).toBe('#/rules')
  expect(router.route).toEqual({ page: 'rules' })
  browser.go(-1)
  expect(router.route.page).toBe('drive')
})

test('a guard asks only while there is something to ask for, and not after its page is gone', () => {
  const { router, drive, end } = driving()
  drive.recorded = false
  browser.hash = '#/'
  expect(router.route.page).toBe('lobby')
  browser.go(-1)
  drive.recorded = true
  end()
  browser.hash = '#/'
  expect(router.asking).toBeNull()
  expect(router.route.page).toBe('lobby')
})
