import { expect, test, vi } from 'vitest'
import { ApiError, type Episode } from '../account/api'
import { troubleOf } from '../trouble'
import { commandsOf } from './commands'
import { missing, standingOf } from './standing'

vi.spyOn(console, 'info').mockImplementation(() => undefined)

const episode = (said: Partial<Episode>) => ({ episode: 'e1', state: 'rejected', reason: '', twin: null, another_look: false, size: 10, ...said }) as Episode

test('a verified episode is shown', () => {
  expect(standingOf(episode({ state: 'verified' }), false)).toBeNull()
})

test.each(['recording', 'sealed', 'uploaded', 'held', 'rejected', 'invalid', 'discarded', 'a state of a newer hub'])('%s is told in sentences, with what can be done', (state) => {
  for (const own of [true, false]) {
    const found = standingOf(episode({ state, reason: 'ReaderLost: x' }), own)
    expect(found?.title).toMatch(/^[A-Z][^.]*$/)
    for (const sentence of [found?.says, ...(found?.ways ?? [])]) expect(sentence).toMatch(/^[A-Z“].*\.$/s)
    expect(found?.ways.length).toBeGreaterThan(0)
    expect(`${found?.says}${found?.ways}`).not.toMatch(/expected|got |_/)
  }
})

test('only what may still change is looked at again', () => {
  const coming = ['recording', 'sealed', 'uploaded', 'held', 'rejected', 'invalid', 'discarded'].filter((state) => standingOf(episode({ state }), false)?.coming)
  expect(coming).toEqual(['recording', 'sealed', 'uploaded', 'held'])
})

test('a rejected one says which check refused it, and who may ask for another look', () => {
  const refused = { reason: 'ReplayMismatch: expected 0.1 at step 4, got 0.2', another_look: true }
  expect(standingOf(episode(refused), true)?.says).toContain('simulator')
  expect(standingOf(episode(refused), true)?.ways[0]).toContain('You may')
  expect(standingOf(episode(refused), false)?.ways[0]).toContain('Its operator may')
  expect(standingOf(episode({ size: null }), true)?.ways.join()).toContain('not kept')
})

test('an address that names nothing, and what is private, are pages of their own; a hub that is away is not', () => {
  expect(missing(troubleOf(new ApiError('unknown_episode', 'x', 404)))?.title).toBe('There is no such episode')
  expect(missing(troubleOf(new ApiError('episode_private', 'x', 403)))?.title).toBe('It is private')
  expect(missing(troubleOf(new ApiError('not_reader', 'x', 403)))?.title).toBe('It is private')
  expect(missing(troubleOf(new ApiError('unreachable', 'x', 0)))).toBeNull()
})

test('commands name the episode and the hub, and nothing is left to fill in', () => {
  const lines = commandsOf('e1', 'https://arm.example/hub').flatMap((each) => each.lines)
  expect(lines[0]).toBe('armshare fetch . --episode e1 --hub https://arm.example/hub')
  expect(lines[1]).toBe('armshare verify --score --hub https://arm.example/hub e1')
})

test('what was withdrawn is fetched file by file, for an audit', () => {
  const lines = commandsOf('e1', 'https://arm.example/hub', true).flatMap((each) => each.lines)
  expect(lines[0]).toContain('"https://arm.example/hub/api/episodes/e1/files/{episode.h5,')
  expect(lines[1]).toBe('armshare verify --score --hub https://arm.example/hub e1')
})
