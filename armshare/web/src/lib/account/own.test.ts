import { expect, test } from 'vitest'
import type { Episode } from './api'
import { ownEpisodes } from './own'

const episode = (name: string, created_ms: number) => ({ episode: name, created_ms }) as Episode

test('what was withdrawn stands where it was driven, and the list stays as long as was asked', async () => {
  const api = { episodes: async () => [episode('c', 3), episode('a', 1)], withdrawn: async () => [episode('b', 2)] }
  expect((await ownEpisodes(api, 'me', 9)).map((one) => one.episode)).toEqual(['c', 'b', 'a'])
  expect((await ownEpisodes(api, 'me', 2)).map((one) => one.episode)).toEqual(['c', 'b'])
})

test('without a session the rest is still there, and a hub that is away is told', async () => {
  const away = () => Promise.reject(new Error('401'))
  expect(await ownEpisodes({ episodes: async () => [episode('a', 1)], withdrawn: away }, 'me', 9)).toHaveLength(1)
  await expect(ownEpisodes({ episodes: away, withdrawn: async () => [] }, 'me', 9)).rejects.toThrow()
})
