import { expect, test } from 'vitest'
import { ApiError } from './api'
import { patiently } from './patience'

const REFUSED = new ApiError('duplicate_episode', 'the same recording', 422)

/** Fails in turn, then answers; and the pauses that were made. */
function hub(...errors: ApiError[]) {
  const pauses: number[] = []
  const ask = () => {
    const error = errors.shift()
    return error ? Promise.reject(error) : Promise.resolve('answer')
  }
  return { ask, pauses, pause: async (ms: number) => void pauses.push(ms) }
}

test.each([
  ['a lost connection', new ApiError('unreachable', '', 0)],
  ["a proxy's page", new ApiError('http_413', '', 413)],
  ["a proxy's 404", new ApiError('http_404', '', 404)],
  ['a gateway without its hub', new ApiError('http_502', '', 502)],
  ['a verifier that died', new ApiError('verifier_lost', '', 503)],
])('%s is asked again, after pauses that grow', async (_, error) => {
  const { ask, pauses, pause } = hub(error, error, error)
  expect(await patiently(ask, undefined, pause)).toBe('answer')
  expect(pauses).toEqual([1000, 2000, 5000])
})

test("the hub's own refusal is final", async () => {
  const { ask, pauses, pause } = hub(REFUSED)
  await expect(patiently(ask, undefined, pause)).rejects.toBe(REFUSED)
  expect(pauses).toEqual([])
})

test('what is not there yet is asked for as long as it takes', async () => {
  const not = new ApiError('unknown_episode', 'not sealed', 404)
  const { ask, pause } = hub(...Array<ApiError>(40).fill(not))
  expect(await patiently(ask, (error) => error.code === 'unknown_episode', pause)).toBe('answer')
})
