import { expect, test } from 'vitest'
import type { World } from './drawing'
import { Posters } from './posters'

/** A hub whose answers are given by hand, and what the page asked of it. */
class Hub implements World {
  asked: string[] = []
  waits: number[] = []
  revoked: string[] = []
  #answers: ((answer: Response | Promise<Response>) => void)[] = []

  fetch = (url: string): Promise<Response> => {
    this.asked.push(url)
    return new Promise((answer) => this.#answers.push(answer))
  }
  wait = async (ms: number): Promise<void> => void this.waits.push(ms)
  url = (): string => `blob:${this.asked.length}`
  revoke = (url: string): void => void this.revoked.push(url)

  async away(): Promise<void> {
    await settled()
    this.#answers.shift()?.(Promise.reject(new TypeError('cut')))
    await settled()
  }

  async answer(status: number, headers: Record<string, string> = {}): Promise<void> {
    await settled()
    this.#answers.shift()?.(new Response(status === 200 ? 'picture' : '{}', { status, headers }))
    await settled()
  }
}

const settled = (): Promise<void> => new Promise((done) => setTimeout(done))
const made = (): [Posters, Hub] => {
  const hub = new Hub()
  return [new Posters((episode, camera) => `${episode}/${camera}`, hub), hub]
}
const never = new AbortController().signal

test('a picture is fetched once, and is here from then on', async () => {
  const [posters, hub] = made()
  const first = posters.get('e', 'front', never)
  await hub.answer(200)
  expect(await first).toEqual({ url: 'blob:1', camera: 'front' })
  expect(posters.here('e', 'front')).toEqual({ url: 'blob:1', camera: 'front' })
  await posters.get('e', 'front', never)
  expect(hub.asked).toEqual(['e/front'])
})

test('without such a camera, the hub chooses one; without any, there is no picture', async () => {
  const [posters, hub] = made()
  const other = posters.get('e', 'wrist', never)
  await hub.answer(404)
  await hub.answer(200)
  expect(await other).toEqual({ url: 'blob:2', camera: null })
  const none = posters.get('f', 'wrist', never)
  await hub.answer(404)
  await hub.answer(404)
  expect(await none).toBeNull()
})

test('a hub that is busy is asked again when it said', async () => {
  const [posters, hub] = made()
  const busy = posters.get('e', 'front', never)
  await hub.answer(503, { 'Retry-After': '3' })
  await hub.answer(200)
  expect(await busy).not.toBeNull()
  expect(hub.waits).toEqual([3000])
})

test('however long a hub is busy, or away, the picture is not given up', async () => {
  const [posters, hub] = made()
  const busy = posters.get('e', 'front', never)
  for (let times = 0; times < 12; times += 1) await hub.answer(503)
  await hub.away()
  await hub.answer(200)
  expect(await busy).toEqual({ url: 'blob:14', camera: 'front' })
  expect(hub.waits).toHaveLength(13)
})

test('three are fetched at once, and who scrolled past is not waited for', async () => {
  const [posters, hub] = made()
  const gone = new AbortController()
  const all = ['a', 'b', 'c'].map((episode) => posters.get(episode, 'front', never))
  const past = posters.get('d', 'front', gone.signal).catch(() => 'gone')
  const last = posters.get('e', 'front', never)
  await settled()
  expect(hub.asked).toEqual(['a/front', 'b/front', 'c/front'])
  gone.abort()
  await hub.answer(200)
  expect(hub.asked).toEqual(['a/front', 'b/front', 'c/front', 'e/front'])
  for (let i = 0; i < 3; i += 1) await hub.answer(200)
  expect((await Promise.all([...all, last])).every((poster) => poster !== null)).toBe(true)
  expect(await past).toBe('gone')
})
